// SPDX-License-Identifier: Apache-2.0
// Pulls from real registries, with images of other tools', through real proxies.
#include <mortise/image/registry.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <image/registry/fake_registry.hpp>
#include <image/registry/real_registry.hpp>
#include <image/registry/schema1_text.hpp>
#include <image/registry/token_server.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/registry/base64.hpp>
#include <mortise/image/resolve.hpp>
#include <string>
#include <string_view>
#include <support/leaks.hpp>
#include <support/script.hpp>
#include <support/skip.hpp>
#include <support/tls.hpp>
#include <thread>
#include <utility>
#include <vector>

using absl::StatusCode;
using mortise::concat;
using mortise::message;
using mortise::image::basic_registry;
using mortise::image::registry;
using mortise::image::registry_options;
using mortise::image::distribution::base64_form;
using mortise::image::distribution::credential;
using mortise::image::distribution::encode_base64;
using mortise::image::distribution::schema_1;
using mortise::image::distribution::secret;
using support::collect;
using support::fake_registry;
using support::real_nginx;
using support::real_registry;
using support::run_script;
using support::test_options;

namespace {

credential user(std::string_view name, std::string_view password) {
  return {std::string(name), secret(password), {}, {}};
}

/// Two layers, the second of some size.
std::vector<support::test_layer> two_layers() {
  return {support::gzip_layer(support::numbered_bytes(10'000)),
          support::zstd_layer(support::numbered_bytes(3'000'000))};
}

/// A directory for layouts and scratch files.
struct fixture {
  support::temporary_directory place;
  std::string scratch = place.path();

  /// Puts an image of these two layers at a name, by skopeo. Returns its manifest's digest.
  std::string push(const std::string& to, const std::vector<support::test_layer>& layers,
                   const std::string& more = {}) {
    run_script(scratch, "rm -rf layout");
    support::layout_builder layout(place / "layout");
    const std::string manifest =
        layout.write_image(layers, "x", R"(,"history":[{"created_by":"one"},{"created_by":"two"}])");
    REQUIRE(
        run_script(scratch, concat("skopeo copy -q ", more, " --dest-tls-verify=false oci:layout:x docker://", to)));
    return support::sha256(manifest);
  }
};

/// Resolves a location and pulls all its layers, those by several threads. "" or what went wrong.
std::string pull_all(const registry& from, const std::string& location, const std::string& scratch,
                     const std::string& architecture = "amd64") {
  auto opened = from.open(location, scratch);
  if (!opened.ok()) return std::string(message(opened.status()));
  mortise::image::origin& origin = **opened;
  const auto image = mortise::image::resolve(origin, {"linux", architecture, "", {}});
  if (!image.ok()) return std::string(message(image.status()));
  const auto& layers = image->manifest.parsed.layers;
  std::vector<std::string> problems(layers.size());
  std::vector<std::thread> threads;
  for (std::size_t each = 0; each < layers.size(); ++each)
    threads.emplace_back([&, each] {
      collect into;
      const absl::Status status = origin.fetch_blob(layers[each], {0, layers[each].size}, into, nullptr);
      if (!status.ok()) problems[each] = message(status);
      if (status.ok() && mortise::digest::of(into.text) != layers[each].digest) problems[each] = "another digest";
    });
  for (std::thread& each : threads) each.join();
  return mortise::join(problems, "");
}

/// The code with which a location cannot be resolved.
StatusCode code_of(const registry& from, const std::string& location, const std::string& scratch) {
  auto opened = from.open(location, scratch);
  return opened.ok() ? (*opened)->roots().status().code() : opened.status().code();
}

}  // namespace

TEST_CASE("registry: locations") {
  const registry source(test_options());
  for (const char* const each : {"busybox", "busybox:1.36", "docker://busybox",
                                 "r.example.com:5000/a/b@sha256:"
                                 "44136fa355b3678a1146ad16f7e8649e94fb4"
                                 "fc21fe77e8310c060f61caaff8a",
                                 "docker://NOT A NAME"})
    CHECK(source.accepts(each));
  for (const char* const each : {"oci:/layout:tag", "/etc", "./layout", "Busybox", "", "https://example.com/x", "a b"})
    CHECK_FALSE(source.accepts(each));
  CHECK(source.canonical("busybox") == "docker://docker.io/library/busybox:latest");
  CHECK(source.canonical("docker://index.docker.io/busybox:1") == "docker://docker.io/library/busybox:1");
  CHECK(source.canonical(source.canonical("busybox")) == source.canonical("busybox"));
  CHECK(source.open("docker://NOT A NAME", "/tmp").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("registry: what a digest names needs no question, what a tag does only the registry can tell") {
  const registry source(test_options());
  const std::string digest = support::sha256("x");
  const auto by_digest = source.open("busybox@" + digest, "/tmp");
  const auto by_tag = source.open("busybox", "/tmp");
  REQUIRE(by_digest.ok());
  REQUIRE(by_tag.ok());
  CHECK((*by_digest)->fingerprint() == digest);
  CHECK((*by_tag)->fingerprint().empty());
  CHECK((*by_tag)->is_remote());
}

TEST_CASE("registry: opening asks nobody, and settings that are wrong are said") {
  fake_registry here;
  auto options = test_options({here.server.host()});
  CHECK(registry(options).open(here.name(), "/tmp").ok());
  CHECK(here.server.count() == 0);
  options.registries.front().mirrors = {{.address = "ftp://mirror.example.com"}};
  CHECK(registry(options).open(here.name(), "/tmp").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("registry: ranges that are none") {
  fake_registry here;
  const registry source(test_options({here.server.host()}));
  const auto opened = source.open(here.name(), "/tmp").value();
  collect into;
  const auto blob = support::blob_of("text");
  for (const auto& range : {mortise::image::origin::byte_range{3, 2}, mortise::image::origin::byte_range{0, 5}})
    CHECK(opened->fetch_blob(blob, range, into, nullptr).code() == StatusCode::kInvalidArgument);
  CHECK(here.server.count() == 0);
}

TEST_CASE("registry: images of umoci's and buildah's, pushed by skopeo and buildah, from Debian's registry") {
  if (support::missing_registry() || support::missing_root() || support::missing_program("umoci") ||
      support::missing_program("buildah"))
    return;
  fixture at;
  const real_registry server;
  REQUIRE(run_script(at.scratch, concat("host=", server.host(), R"sh(
umoci init --layout oci
umoci new --image oci:base
mkdir root; head -c 300000 /dev/urandom >root/data
tar -C root -cf layer.tar .
umoci raw add-layer --image oci:base layer.tar
skopeo copy -q --dest-tls-verify=false oci:oci:base docker://$host/made/by-umoci:1
skopeo copy -q --dest-tls-verify=false --format v2s2 oci:oci:base docker://$host/made/by-umoci:docker
export XDG_RUNTIME_DIR=$PWD/run; mkdir run
b() { command=$1; shift; buildah --root $PWD/graph --runroot $PWD/run --storage-driver vfs $command "$@"; }
b manifest create many
for arch in amd64 arm64; do
  container=$(b from --arch $arch scratch)
  echo $arch >which
  b copy -q $container which /which
  b config --os linux --arch $arch $container
  b commit -q --rm --manifest many $container built:$arch
done
b manifest push -q --all --tls-verify=false many docker://$host/made/many
)sh")));
  // Nothing is said of the registry: https first, which it does not speak, then http, as it is on this machine.
  const registry source(test_options());
  CHECK(pull_all(source, server.host() + "/made/by-umoci:1", at.scratch) == "");
  CHECK(pull_all(source, "docker://" + server.host() + "/made/by-umoci:docker", at.scratch) == "");
  CHECK(pull_all(source, server.host() + "/made/many", at.scratch) == "");
  CHECK(pull_all(source, server.host() + "/made/many", at.scratch, "arm64") == "");
  CHECK(pull_all(source, server.host() + "/made/many", at.scratch, "s390x").find("linux/amd64, linux/arm64") !=
        std::string::npos);
  CHECK(code_of(source, server.host() + "/made/by-umoci:2", at.scratch) == StatusCode::kNotFound);
  CHECK(code_of(source, server.host() + "/made/nothing", at.scratch) == StatusCode::kNotFound);
  const auto tags = source.tags(server.host() + "/made/by-umoci");
  REQUIRE_MESSAGE(tags.ok(), message(tags.status()));
  CHECK(tags->size() == 2);
  const auto index = source.open(server.host() + "/made/many", at.scratch).value()->roots().value().front();
  CHECK(pull_all(source, concat(server.host(), "/made/many@", index.digest.text()), at.scratch) == "");
}

TEST_CASE("registry: Debian's registry with htpasswd") {
  if (support::missing_registry() || support::missing_program("htpasswd")) return;
  fixture at;
  REQUIRE(run_script(at.scratch, "htpasswd -Bbn anna hunter2 >users"));
  const real_registry server(concat("auth:\n  htpasswd:\n    realm: test\n    path: ", at.place / "users", '\n'));
  at.push(server.host() + "/app:1", two_layers(), "--dest-creds anna:hunter2");
  auto options = test_options();
  CHECK(code_of(registry(options), server.host() + "/app:1", at.scratch) == StatusCode::kUnauthenticated);
  options.logins = {{server.host(), user("anna", "wrong")}};
  CHECK(code_of(registry(options), server.host() + "/app:1", at.scratch) == StatusCode::kUnauthenticated);
  options.logins = {{server.host(), user("anna", "hunter2")}};
  CHECK(pull_all(registry(options), server.host() + "/app:1", at.scratch) == "");
  // As a user has it: logged in by another tool.
  options.logins.clear();
  options.variables = mortise::image::distribution::environment{"REGISTRY_AUTH_FILE=" + at.place / "auth.json"};
  REQUIRE(run_script(
      at.scratch, concat("skopeo login -u anna -p hunter2 --tls-verify=false --authfile auth.json ", server.host())));
  CHECK(pull_all(registry(options), server.host() + "/app:1", at.scratch) == "");
}

TEST_CASE("registry: Debian's registry with tokens, which it verifies itself") {
  if (support::missing_registry() || support::missing_program("openssl")) return;
  fixture at;
  REQUIRE(run_script(at.scratch,
                     "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout key.pem -out ca.pem\n"
                     "openssl x509 -in ca.pem -outform DER -out ca.der"));
  const std::string certificate = encode_base64(support::read_file(at.place / "ca.der"));
  const auto sign = [&](const std::string& name) {
    const std::time_t now = std::time(nullptr);
    const auto coded = [](const std::string& text) { return encode_base64(text, base64_form::url); };
    const std::string text =
        coded(concat(R"({"typ":"JWT","alg":"RS256","x5c":[")", certificate, R"("]})")) + '.' +
        coded(concat(R"({"iss":"tests","sub":"anna","aud":"test","jti":"1","iat":)", now, R"(,"nbf":)", now - 10,
                     R"(,"exp":)", now + 300, R"(,"access":[{"type":"repository","name":")", name,
                     R"(","actions":["pull","push"]}]})"));
    support::write_file(at.place / "text", text);
    run_script(at.scratch, "openssl dgst -sha256 -sign key.pem -out signature text");
    return text + '.' + coded(support::read_file(at.place / "signature"));
  };
  const support::http_server tokens([&](const support::http_request& asked, support::http_connection& to) {
    const auto values = support::form_values(asked.query());
    const auto scope = values.find("scope");
    if (asked.field("authorization") != support::basic_field("anna", "hunter2")) return to.answer(401, {}, "");
    const auto parts = mortise::split(scope == values.end() ? std::string_view("::") : scope->second, ':');
    to.answer(200, {}, concat(R"({"token":")", sign(std::string(parts.at(1))), R"("})"));
  });
  const real_registry server(concat("auth:\n  token:\n    realm: ", tokens.url("/token"),
                                    "\n    service: test\n    issuer: tests\n    rootcertbundle: ", at.place / "ca.pem",
                                    '\n'));
  at.push(server.host() + "/team/app:1", two_layers(), "--dest-creds anna:hunter2");
  auto options = test_options();
  CHECK(code_of(registry(options), server.host() + "/team/app:1", at.scratch) == StatusCode::kUnauthenticated);
  options.logins = {{server.host(), user("anna", "hunter2")}};
  CHECK(pull_all(registry(options), server.host() + "/team/app:1", at.scratch) == "");
}

TEST_CASE("registry: Debian's registry with TLS, trusted by a directory of certificates and by nothing else") {
  if (support::missing_registry() || support::missing_tls()) return;
  fixture at;
  const support::tls_authority tls;
  const real_registry server({}, concat("  tls:\n    certificate: ", tls.certificate(), "\n    key: ", tls.key(),
                                        "\n    clientcas:\n      - ", tls.authority(), '\n'));
  const std::string name = server.host() + "/app:1";
  const std::string directory = at.place / ("certs/" + server.host());
  auto options = test_options();
  const auto refused = registry(options).open(name, at.scratch).value()->roots().status();
  CHECK(refused.code() == StatusCode::kPermissionDenied);
  options.certificates = {at.place / "certs"};
  REQUIRE(run_script(at.scratch, concat("mkdir -p ", directory, "; cp ", tls.authority(), ' ', directory, "/ca.crt")));
  CHECK(code_of(registry(options), name, at.scratch) != StatusCode::kOk);  // it wants to see a client's certificate
  REQUIRE(run_script(at.scratch, concat("cp ", tls.client_certificate(), ' ', directory, "/client.cert; cp ",
                                        tls.client_key(), ' ', directory, "/client.key")));
  at.push(name, two_layers(), "--dest-cert-dir " + directory);
  CHECK(pull_all(registry(options), name, at.scratch) == "");
}

TEST_CASE("registry: nginx redirects blobs to another port, where no credentials arrive") {
  if (support::missing_registry() || support::missing_program("nginx") || support::missing_program("htpasswd")) return;
  fixture at;
  REQUIRE(run_script(at.scratch, "htpasswd -Bbn anna hunter2 >users"));
  const real_registry server(concat("auth:\n  htpasswd:\n    realm: test\n    path: ", at.place / "users", '\n'));
  at.push(server.host() + "/app:1", two_layers(), "--dest-creds anna:hunter2");
  const real_nginx storage(concat(R"(
log_format fields '$request_method "$http_authorization" "$http_cookie"';
server {
  listen 127.0.0.1:PORT; access_log PLACE/access fields;
  location / {
    proxy_pass http://)",
                                  server.host(), R"(; proxy_set_header Authorization ")",
                                  support::basic_field("anna", "hunter2"), R"(";
  }
})"));
  const real_nginx front(concat(R"(
server {
  listen 127.0.0.1:PORT;
  location ~ /blobs/ { return 307 http://)",
                                storage.host(), R"($request_uri; }
  location / { proxy_pass http://)",
                                server.host(), R"(; proxy_set_header Host $http_host; }
})"));
  auto options = test_options({front.host()});
  options.logins = {{front.host(), user("anna", "hunter2")}, {storage.host(), user("not", "to be sent")}};
  CHECK(pull_all(registry(options), front.host() + "/app:1", at.scratch) == "");
  CHECK(storage.file("access") == "GET \"-\" \"-\"\nGET \"-\" \"-\"\nGET \"-\" \"-\"\n");
}

TEST_CASE("registry: nginx throttles, drops, alters and shortens; a mirror of that kind costs no pull") {
  if (support::missing_registry() || support::missing_program("nginx")) return;
  fixture at;
  const real_registry server;
  const auto layers = two_layers();
  at.push(server.host() + "/app:1", layers);
  const std::string digest = support::sha256(layers[1].blob);
  std::string altered = layers[1].blob;
  altered[1'000] = static_cast<char>(altered[1'000] ^ 1);
  support::write_file(at.place / "altered", altered);
  support::write_file(at.place / "short", altered.substr(0, 1'000));
  ::chmod(at.scratch.c_str(), 0755);
  const auto front = [&](const std::string& for_blob) {
    return concat("server {\n  listen 127.0.0.1:PORT;\n  location ~ /blobs/", digest, "$ { ", for_blob,
                  " }\n  location / { proxy_pass http://", server.host(), "; proxy_set_header Host $http_host; }\n}");
  };
  const std::string pass = concat("proxy_pass http://", server.host(), ";");
  const auto pull_through = [&](const std::string& for_blob) {
    const real_nginx nginx(front(for_blob));
    return pull_all(registry(test_options({nginx.host()})), nginx.host() + "/app:1", at.scratch);
  };
  CHECK(pull_through(pass + " limit_rate 4m; limit_rate_after 100k;") == "");
  CHECK(pull_through("return 444;").find("blob") != std::string::npos);
  CHECK(pull_through("return 502;").find("status 502") != std::string::npos);
  CHECK(pull_through(concat("alias ", at.place / "altered", ";")) == "another digest");
  CHECK(pull_through(concat("alias ", at.place / "short", ";")).find("blob") != std::string::npos);

  for (const std::string& each : {std::string("return 444;"), std::string("return 502;"), std::string("return 403;"),
                                  concat("alias ", at.place / "short", ";")}) {
    const real_nginx nginx(front(each));
    auto options = test_options({server.host()});
    options.registries.front().mirrors = {{.address = nginx.host(), .plain_http = true}};
    CHECK(pull_all(registry(options), server.host() + "/app:1", at.scratch) == "");
  }
}

TEST_CASE("registry: a mirror that alters a layer is found out, distrusted, and the registry asked") {
  if (support::missing_registry() || support::missing_program("nginx")) return;
  fixture at;
  const real_registry server;
  const auto layers = two_layers();
  at.push(server.host() + "/app:1", layers);
  support::write_file(at.place / "altered", std::string(layers[0].blob.size(), 'x'));
  const real_nginx nginx(concat("server {\n  listen 127.0.0.1:PORT;\n  location ~ /blobs/",
                                support::sha256(layers[0].blob), "$ { alias ", at.place / "altered",
                                "; }\n  location / { proxy_pass http://", server.host(),
                                "; proxy_set_header Host $http_host; }\n}"));
  auto options = test_options({server.host()});
  options.registries.front().mirrors = {{.address = nginx.host(), .plain_http = true}};
  const auto opened = registry(options).open(server.host() + "/app:1", at.scratch).value();
  const auto image = mortise::image::resolve(*opened, {"linux", "amd64", "", {}});
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  const auto& layer = image->manifest.parsed.layers.front();
  collect wrong;
  CHECK(opened->fetch_blob(layer, {0, layer.size}, wrong, nullptr).ok());
  CHECK_FALSE(mortise::digest::of(wrong.text) == layer.digest);
  CHECK(opened->distrust(layer));
  collect right;
  CHECK(opened->fetch_blob(layer, {0, layer.size}, right, nullptr).ok());
  CHECK(mortise::digest::of(right.text) == layer.digest);
  CHECK_FALSE(opened->distrust(layer));
}

TEST_CASE("registry: schema 1, signed, as Debian's registry has it, where it is asked for") {
  if (support::missing_registry()) return;
  fixture at;
  const real_registry server("compatibility:\n  schema1:\n    enabled: true\n");
  const std::vector<support::test_layer> layers = {support::gzip_layer(support::numbered_bytes(10'000)),
                                                   support::gzip_layer(support::numbered_bytes(20'000))};
  at.push(server.host() + "/old:1", layers, "--format v2s1");
  auto options = test_options();
  const auto refused = registry(options).open(server.host() + "/old:1", at.scratch).value()->roots().status();
  CHECK(refused.code() == StatusCode::kUnimplemented);
  CHECK(message(refused).find("registry_options::old") != std::string_view::npos);
  options.old = schema_1::accepted;
  const registry source(options);
  CHECK(pull_all(source, server.host() + "/old:1", at.scratch) == "");
  const auto opened = source.open(server.host() + "/old:1", at.scratch).value();
  const auto image = mortise::image::resolve(*opened, {"linux", "amd64", "", {}});
  REQUIRE_MESSAGE(image.ok(), message(image.status()));
  CHECK(image->config.parsed.diff_ids.at(0).text() == support::sha256(layers[0].tar));
  CHECK(image->config.parsed.diff_ids.at(1).text() == support::sha256(layers[1].tar));
  const auto& layer = image->manifest.parsed.layers.back();
  collect part;
  CHECK(opened->fetch_blob(layer, {10, 20}, part, nullptr).ok());
  CHECK((part.text == layers[1].blob.substr(10, 10)));
  CHECK(part.about.offset == 10);
}

TEST_CASE("registry: schema 1 by digest is of its payload, and another one is refused") {
  fake_registry here;
  support::temporary_directory scratch;
  auto options = test_options({here.server.host()});
  options.old = schema_1::accepted;
  const std::string layer = here.put_blob(support::gzip("layer"));
  const std::string text = support::schema_1_text({{layer, false}});
  const std::string digest = here.put(text, mortise::image::media::schema_1, "latest");
  CHECK(pull_all(registry(options), here.name(), scratch.path()) == "");
  CHECK(pull_all(registry(options), here.name("@" + digest), scratch.path()) == "");
  here.manifests[digest].text = support::schema_1_text({{layer, false}, {"", true}});
  CHECK(code_of(registry(options), here.name("@" + digest), scratch.path()) == StatusCode::kDataLoss);
}

TEST_CASE("registry: nothing is left behind") {
  fake_registry here;
  support::temporary_directory scratch;
  here.put_image(two_layers());
  const std::string name = here.name();
  const auto pull = [&] {
    const registry source(test_options({here.server.host()}));
    return pull_all(source, name, scratch.path()) + pull_all(source, name + "x", scratch.path()).substr(0, 4);
  };
  CHECK(pull() == "pull");
  const support::leak_snapshot before;
  CHECK(pull() == "pull");
  for (int turn = 0; turn < 100 && before.leaked() != ""; ++turn) ::usleep(10'000);  // the server's ends of connections
  CHECK(before.leaked() == "");
  CHECK(run_script(scratch.path(), "test $(ls | wc -l) -le 2"));
}
