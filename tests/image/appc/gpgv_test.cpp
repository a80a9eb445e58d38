// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/gpgv.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <image/layout_builder.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::appc::gpgv;

namespace {

/// Two people's keys and signatures over "aci", made once by gpg in a home that goes with the process.
class signers {
 public:
  static const signers& get() {
    static const signers only;
    return only;
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] std::string read(const std::string& name) const { return support::read_file(place_ / name); }

 private:
  signers() {
    const std::string script = R"sh(exec >log 2>&1; set -ex; cd "$0"; umask 077; mkdir home; export GNUPGHOME=$PWD/home
printf 'an image' >aci; printf 'another image' >other
for who in alice bob late; do
  gpg --batch --pinentry-mode loopback --passphrase '' --faked-system-time 20200101T000000 --quick-generate-key $who@example.com ed25519 sign $([ $who = late ] && echo 2d || echo never)
  gpg --batch --export --armor $who@example.com >$who.key
  gpg --batch --faked-system-time 20200102T000000 --local-user $who@example.com --armor --detach-sign -o $who.asc aci
done
gpg --batch --export bob@example.com >bob.bin
gpg --batch --local-user alice@example.com --local-user bob@example.com --armor --detach-sign -o both.asc aci
gpgconf --kill gpg-agent)sh";
    if (std::system(("cd " + place_.path() + " && sh -c '" + escaped(script) + "' " + place_.path()).c_str()) != 0)
      throw std::runtime_error("make keys: " + support::read_file(place_ / "log"));
  }
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char each : text) each == '\'' ? out.append("'\\''") : out.append(1, each);
    return out;
  }

  support::temporary_directory place_;
};

/// A directory of trusted keys, and what is said of a signature by it.
class trust {
 public:
  trust& add(const std::string& where, const std::string& key) {
    const std::string directory = place_ / where;
    mortise::sys::make_directories(directory).IgnoreError();
    support::write_file(directory + "/" + key, signers::get().read(key));
    return *this;
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] absl::Status check(const std::string& name, const absl::StatusOr<std::string>& signature,
                                   const std::string& file = "aci") const {
    auto aci = mortise::image::open_file(AT_FDCWD, signers::get() / file);
    REQUIRE(aci.ok());
    return gpgv(place_.path())(mortise::model::ac_identifier::parse(name).value(), *aci, [&] { return signature; });
  }
  [[nodiscard]] std::string says(const std::string& name, const absl::StatusOr<std::string>& signature,
                                 const std::string& file = "aci") const {
    const absl::Status status = check(name, signature, file);
    if (status.ok()) return {};
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    return std::string(message(status));
  }

 private:
  support::temporary_directory place_;
};

bool missing_gpg() { return support::missing_program("gpg") || support::missing_program("gpgv"); }

bool has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("gpgv: a key is trusted for all images, or for a name and what is below it") {
  if (missing_gpg()) return;
  const signers& keys = signers::get();
  const std::string alice = keys.read("alice.asc");
  trust all;
  all.add("root.d", "alice.key");
  CHECK(all.says("anything.org/app", alice) == "");
  trust some;
  some.add("prefix.d/example.com/team", "alice.key");
  CHECK(some.says("example.com/team", alice) == "");
  CHECK(some.says("example.com/team/app", alice) == "");
  for (const char* const other : {"example.com", "example.com/teams", "example.org/team", "team"})
    has(some.says(other, alice), "no key is trusted for it (put one into '");
}

TEST_CASE("gpgv: armored and binary keys together, more than one signer") {
  if (missing_gpg()) return;
  const signers& keys = signers::get();
  trust both;
  both.add("root.d", "alice.key").add("prefix.d/example.com", "bob.bin");
  for (const char* const each : {"alice.asc", "bob.asc", "both.asc"})
    CHECK(both.says("example.com/app", keys.read(each)) == "");
  CHECK(both.says("other.org/app", keys.read("alice.asc")) == "");
  has(both.says("other.org/app", keys.read("bob.asc")), "gpgv says ERRSIG");
  has(both.says("other.org/app", keys.read("both.asc")), "gpgv says ERRSIG");  // one of them nobody vouches for
}

TEST_CASE("gpgv: what is not signed well is refused") {
  if (missing_gpg()) return;
  const signers& keys = signers::get();
  trust alice;
  alice.add("root.d", "alice.key").add("root.d", "late.key");
  has(alice.says("a", keys.read("alice.asc"), "other"), "check signature of image 'a': gpgv says BADSIG");
  has(alice.says("a", keys.read("late.asc")), "gpgv says ");  // signed in time by a key that has expired since
  has(alice.says("a", absl::NotFoundError("fetch: not there")), "it has no signature: fetch: not there");
  for (const std::string& none :
       {std::string(), std::string("nonsense"), keys.read("alice.key"), std::string(5000, '\0')})
    has(alice.says("a", none), "gpgv finds no good one: ");
}

TEST_CASE("gpgv: the directory's own faults are failures, and no way around it") {
  if (missing_gpg()) return;
  trust broken;
  broken.add("root.d", "alice.key");
  support::write_file(broken / "root.d/bad.key", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n");
  const absl::Status status = broken.check("a", signers::get().read("alice.asc"));
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(message(status).ends_with("root.d/bad.key': it is not armored as OpenPGP has it"));
  trust odd;
  support::write_file(odd / "root.d", "a file");
  CHECK_FALSE(odd.check("a", signers::get().read("alice.asc")).ok());
  CHECK_FALSE(gpgv("/no/such/directory")(mortise::model::ac_identifier::parse("a").value(), {}, [] {
                return absl::StatusOr<std::string>("");
              }).ok());
}

TEST_CASE("gpgv: nothing of it is left") {
  if (missing_gpg()) return;
  trust alice;
  alice.add("root.d", "alice.key");
  const std::string signature = signers::get().read("alice.asc");
  const support::leak_snapshot before;
  CHECK(alice.says("a", signature) == "");
  CHECK(before.leaked() == "");
}
