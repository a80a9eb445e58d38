// SPDX-License-Identifier: Apache-2.0
// mortise-run with Appc images: files, discovery, signatures, isolators.
#include <doctest/doctest.h>

#include <examples/program.hpp>
#include <examples/scene.hpp>
#include <fstream>
#include <image/appc/actool.hpp>
#include <image/appc/documents.hpp>
#include <mortise/model/platform.hpp>
#include <support/http_server.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

using examples::outcome;
using examples::scene;
using support::run_quietly;

namespace {

bool has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

/// ACIs that actool built: a base of the scene's root, and an app on it that says where it is.
class acis {
 public:
  static const acis& get() {
    static const acis only;
    return only;
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] std::string prefix() const { return "file://" + place_.path() + "/"; }
  [[nodiscard]] static std::string file(const std::string& name, const std::string& version) {
    const auto host = mortise::model::host_platform().architecture;
    return mortise::concat(name, '-', version, "-linux-", host == "arm64" ? "aarch64" : host, ".aci");
  }

 private:
  acis() {
    const std::string tool = support::actool();
    build(tool, file("example.com/base", "latest"), support::aci_manifest("", "example.com/base"), scene::get().root());
    const std::string isolators =
        R"("isolators":[{"name":"resource/memory","value":{"limit":"64M"}},)"
        R"({"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL","CAP_SYS_ADMIN"]}},)"
        R"({"name":"os/linux/oom-score-adj","value":100}])";
    const std::string manifest = support::aci_manifest(
        R"("labels":[{"name":"version","value":"1.0"}],"dependencies":[{"imageName":"example.com/base"}],)"
        R"("app":{"exec":["/bin/sh","/hello"],"user":"0","group":"0","environment":[{"name":"WHO","value":"appc"}],)" +
        isolators + "}");
    REQUIRE(run_quietly("mkdir -p " + (place_ / "root")));
    std::ofstream(place_ / "root/hello") << "echo hello $WHO; ls -d /manifest /rootfs 2>&1 | grep -c No;\n"
                                            "grep CapEff /proc/self/status; cat /etc/text";
    build(tool, file("example.com/app", "1.0"), manifest, place_ / "root");
  }
  void build(const std::string& tool, const std::string& name, const std::string& manifest, const std::string& root) {
    REQUIRE(run_quietly("mkdir -p " + (place_ / "l") + " $(dirname " + (place_ / name) + ") && cp -a " + root + ' ' +
                        (place_ / "l/rootfs")));
    std::ofstream(place_ / "l/manifest") << manifest;
    REQUIRE(run_quietly(tool + " build " + (place_ / "l") + ' ' + (place_ / name) + " && rm -r " + (place_ / "l")));
  }

  support::temporary_directory place_;
};

outcome mortise_run(std::vector<std::string> words) {
  words.insert(words.begin(), {scene::get().mortise_run(), "--store", scene::get().store()});
  return examples::run(words);
}

bool missing() {
  if (examples::missing_host() || support::actool().empty()) return true;
  (void)acis::get();
  return false;
}

/// A host of its own, on which nothing is left.
struct host {
  examples::private_defaults defaults;
  support::leak_snapshot before;
  ~host() {
    CHECK(examples::left_in(scene::get().store(), "/run/mortise-run") == "");
    CHECK(before.leaked() == "");
  }
};

}  // namespace

TEST_CASE("mortise-run: an ACI from a file, and by its name, on what it depends on") {
  if (missing()) return;
  const host place;
  const std::string file = acis::get() / acis::file("example.com/app", "1.0");
  for (const std::string& location : {"aci:" + file, std::string("appc:example.com/app:1.0")}) {
    const outcome ran = mortise_run({"--aci-prefix", acis::get().prefix(), location});
    CHECK(ran.code == 0);
    has(ran.out, "hello appc\n2\nCapEff:\t0000000000000020\nnot a program\n");
    has(ran.err, "mortise-run: isolator resource/memory is enforced\n");
    has(ran.err,
        "isolator os/linux/capabilities-retain-set is adjusted: an image is not given more than its caller "
        "grants: CAP_SYS_ADMIN\n");
    has(ran.err, "isolator os/linux/oom-score-adj is ignored: ");
  }
  const outcome alone =
      mortise_run({"aci:" + (acis::get() / acis::file("example.com/base", "latest")), "/bin/echo", "base"});
  CHECK(alone.out == "base\n");
  has(mortise_run({"--aci-prefix", acis::get().prefix(), "-m", "32m", "aci:" + file}).err,
      "isolator resource/memory is adjusted: an option decides\n");
}

TEST_CASE("mortise-run: the memory that an Appc image asks for is all that it gets") {
  if (missing()) return;
  const host place;
  const outcome ran =
      mortise_run({"-q", "--aci-prefix", acis::get().prefix(), "--entrypoint", "/bin/sh", "appc:example.com/app:1.0",
                   "-c", "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null; echo $?"});
  CHECK(ran.out == "137\n");  // what took more was killed
}

TEST_CASE("mortise-run: --strict-isolators refuses what would be ignored") {
  if (missing()) return;
  const host place;
  const outcome ran =
      mortise_run({"--strict-isolators", "--aci-prefix", acis::get().prefix(), "appc:example.com/app:1.0"});
  CHECK(ran.code == 125);
  CHECK(ran.out.empty());
  has(ran.err, "hold image to its isolators: not all can be enforced (leave out --strict-isolators)");
}

TEST_CASE("mortise-run: an Appc image over HTTP, where that was allowed") {
  if (missing()) return;
  const std::string file = acis::file("example.com/base", "latest");
  support::http_server server([&](const support::http_request& asked, support::http_connection& to) {
    if (asked.path() != "/" + file) return to.answer(404, {}, "no");
    std::ifstream in(acis::get() / file, std::ios::binary);
    to.serve(asked, std::string(std::istreambuf_iterator<char>(in), {}));
  });
  const host place;
  const std::vector<std::string> words = {"--aci-prefix",          server.url("/"), "--aci-prefix", "file:///nowhere/",
                                          "appc:example.com/base", "/bin/echo",     "served"};
  const outcome refused = mortise_run(words);
  CHECK(refused.code == 125);
  has(refused.err, "plain HTTP was not allowed");
  CHECK(server.count() == 0);
  std::vector<std::string> allowed = words;
  allowed.insert(allowed.begin(), "--aci-http");
  CHECK(mortise_run(allowed).out == "served\n");
}

TEST_CASE("mortise-run: with keys, only signed Appc images run") {
  if (missing() || support::missing_program("gpg") || support::missing_program("gpgv")) return;
  const support::temporary_directory keys;
  const std::string file = acis::get() / acis::file("example.com/base", "latest");
  REQUIRE(run_quietly(
      "cd " + keys.path() +
      " && mkdir -m 700 home && mkdir -p trust/prefix.d/example.com && export GNUPGHOME=$PWD/home"
      " && gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key a@example.com ed25519 sign never"
      " && gpg --batch --export a@example.com >trust/prefix.d/example.com/key"
      " && gpg --batch --yes --armor --detach-sign -o " +
      file + ".asc " + file + " && gpgconf --kill gpg-agent"));
  {
    const host place;
    const std::vector<std::string> words = {"--aci-keys", keys / "trust", "--aci-prefix", acis::get().prefix()};
    std::vector<std::string> run = words;
    run.insert(run.end(), {"aci:" + file, "/bin/echo", "signed"});
    CHECK(mortise_run(run).out == "signed\n");
    run = words;
    run.emplace_back("appc:example.com/app:1.0");
    const outcome refused = mortise_run(run);
    CHECK(refused.code == 125);
    has(refused.err, "check signature of image 'example.com/app': it has no signature");
  }
  ::unlink((file + ".asc").c_str());
}
