// SPDX-License-Identifier: Apache-2.0
// mortise-run as its users meet it: exit codes, streams, signals, options, messages, and what a kill leaves.
#include <doctest/doctest.h>

#include <examples/program.hpp>
#include <examples/scene.hpp>
#include <image/layout_builder.hpp>
#include <image/registry/real_registry.hpp>
#include <mortise/model/platform.hpp>
#include <rootfs/smallest_image.hpp>
#include <support/leaks.hpp>
#include <support/mapped_ids.hpp>
#include <support/skip.hpp>

using examples::outcome;
using examples::program;
using examples::run_options;
using examples::scene;

namespace {

constexpr const char* state = "/run/mortise-run";

/// mortise-run with a store of the scene's, and these words after it.
std::vector<std::string> command(const std::vector<std::string>& words) {
  std::vector<std::string> all = {scene::get().mortise_run(), "--store", scene::get().store()};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}
outcome mortise_run(const std::vector<std::string>& words, const run_options& options = {}) {
  return examples::run(command(words), options);
}
/// A script in the scene's image.
outcome run_script(std::vector<std::string> options, const std::string& script, const run_options& how = {}) {
  options.insert(options.begin(), "-q");
  options.insert(options.end(), {scene::get().image(), "/bin/sh", "-c", script});
  return mortise_run(options, how);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Kills a run with these options while its container runs, and has the next one free what is left.
void kill_and_run_again(const std::vector<std::string>& options) {
  std::vector<std::string> words = {"-q", "--name", "orphan", "--memory", "64m"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {scene::get().image(), "sh", "-c", "echo ready; sleep 1000"});
  program killed(command(words));
  REQUIRE(killed.wait_for(0, "ready"));
  killed.signal(SIGKILL);
  CHECK(killed.finish(true).signal == SIGKILL);
  CHECK(examples::left_in(scene::get().store(), state) == "root orphan\nrecord orphan\n");
  const outcome next = run_script({}, "echo on");
  CHECK(next.out == "on\n");
  CHECK(next.err == "");
  CHECK(examples::left_in(scene::get().store(), state) == "");
}

/// Runs a case's part on a host of its own, and checks that it leaves nothing.
struct host {
  examples::private_defaults defaults;
  support::leak_snapshot before;
  ~host() {
    CHECK(examples::left_in(scene::get().store(), state) == "");
    CHECK(before.leaked() == "");
  }
};

}  // namespace

TEST_CASE("mortise-run: the container's exit code is its own") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::string image = scene::get().image();
  CHECK(mortise_run({"-q", image}).out == "by default\n");
  CHECK(run_script({}, "exit 0").code == 0);
  CHECK(run_script({}, "exit 7").code == 7);
  const outcome missing = mortise_run({"-q", image, "no-such-program"});
  CHECK(missing.code == 127);
  CHECK(has(missing.err, "execute 'no-such-program': execve: No such file or directory"));
  CHECK(mortise_run({"-q", image, "/bin/lost"}).code == 127);
  const outcome text = mortise_run({"-q", image, "/etc/text"});
  CHECK(text.code == 126);
  CHECK(has(text.err, "Permission denied"));
  CHECK(mortise_run({"-q", image, "/etc"}).code == 126);
}

TEST_CASE("mortise-run: a container ended by a signal gives 128 and its number") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  // Process 1 of a PID namespace ignores what it does not handle; the third request kills.
  program box(command({"-q", scene::get().image(), "/bin/sh", "-c", "trap '' TERM; echo ready; sleep 1000"}));
  REQUIRE(box.wait_for(0, "ready"));
  for (int each = 0; each < 3; ++each) {
    box.signal(SIGTERM);
    ::usleep(50'000);  // signals of one number that come together are one
  }
  CHECK(box.finish().code == 128 + SIGKILL);
}

TEST_CASE("mortise-run: signals reach the container") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) {
    CAPTURE(signal);
    const std::string script =
        mortise::concat("trap 'echo got; exit 3' ", signal, "; echo ready; while :; do sleep 0.05; done");
    program box(command({"-q", scene::get().image(), "/bin/sh", "-c", script}));
    REQUIRE(box.wait_for(0, "ready"));
    box.signal(signal);
    const outcome ended = box.finish();
    CHECK(ended.code == 3);
    CHECK(ended.out == "ready\ngot\n");
  }
}

TEST_CASE("mortise-run: streams pass through untouched, and progress goes to standard error") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::string bytes("a\0b\xff\r\n\n", 7);
  const outcome loud = mortise_run({scene::get().image(), "cat"}, {.input = bytes});
  CHECK(loud.code == 0);
  CHECK(loud.out == bytes);
  for (const auto* const step : {"fetch: ", "provision: overlay root", "prepare: ", "spawn: ", "destroy: "})
    CHECK_MESSAGE(has(loud.err, std::string("mortise-run: ") + step), loud.err);
  CHECK_FALSE(has(loud.err, "\x1b"));
  const outcome quiet =
      mortise_run({"-q", scene::get().image(), "sh", "-c", "cat; echo mistake >&2"}, {.input = bytes});
  CHECK(quiet.out == bytes);
  CHECK(quiet.err == "mistake\n");
}

TEST_CASE("mortise-run: bars on a terminal, lines elsewhere") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::string fresh = scene::get() / "bars";
  const std::vector<std::string> words = {scene::get().mortise_run(), "--store", fresh, scene::get().image(), "true"};
  const outcome bars = examples::run(words, {.terminal = true, .env = {"TERM=xterm"}});
  CHECK(bars.code == 0);
  CHECK(has(bars.err, "image     ["));
  CHECK(has(bars.err, "\x1b["));
  CHECK(has(bars.err, "fetch: "));
  REQUIRE(mortise::sys::remove_tree(fresh).ok());
  const outcome dumb = examples::run(words, {.terminal = true, .env = {"TERM=dumb"}});
  CHECK(has(dumb.err, "layer 1 of 1: "));
  CHECK_FALSE(has(dumb.err, "\x1b"));
  CHECK(mortise::sys::remove_tree(fresh).ok());
}

TEST_CASE("mortise-run: environment, directory, user, host name, entrypoint") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  CHECK(run_script({"-e", "A=1", "-eB=two words", "--env=FROM=me", "-e", "PASSED", "-e", "ABSENT_HERE"},
                   "echo $A,$B,$FROM,$PASSED,${ABSENT_HERE-none}", {.env = {"PASSED=on"}})
            .out == "1,two words,me,on,none\n");
  CHECK(run_script({"-w", "/home/new"}, "pwd").out == "/home/new\n");
  CHECK(run_script({"-u", "app"}, "id; echo $HOME").out ==
        "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)\n/home/app\n");
  CHECK(run_script({"--user", "7:8"}, "id -u; id -g").out == "7\n8\n");
  CHECK(run_script({"--hostname", "box.example"}, "hostname").out == "box.example\n");
  CHECK(run_script({"--name", "chosen"}, "hostname").out == "chosen\n");
  const std::string image = scene::get().image();
  CHECK(mortise_run({"-q", "--entrypoint", "/bin/echo", image, "a", "-b", "--", "c"}).out == "a -b -- c\n");
  CHECK(mortise_run({"-q", "--entrypoint=", image, "echo", "bare"}).out == "bare\n");
  CHECK(mortise_run({"-q", "--", image, "echo", "-q"}).out == "-q\n");
}

TEST_CASE("mortise-run: volumes and a root that cannot be written") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const support::temporary_directory shared;
  REQUIRE(::symlink(shared.path().c_str(), (scene::get() / "link").c_str()) == 0);
  CHECK(run_script({"-v", shared.path() + ":/data"}, "echo written > /data/file").code == 0);
  const outcome read = run_script({"-v", shared.path() + ":/deep/er:ro"}, "cat /deep/er/file; echo x > /deep/er/file");
  CHECK(read.out == "written\n");
  CHECK(read.code == 1);
  CHECK(has(read.err, "Read-only file system"));
  CHECK(run_script({"-v", scene::get() / "link" + ":/data:rw"}, "cat /data/file").out == "written\n");
  CHECK(::unlink((scene::get() / "link").c_str()) == 0);
  const outcome sealed = run_script({"--read-only"}, "echo x > /file; echo y > /dev/shm/file && cat /dev/shm/file");
  CHECK(sealed.out == "y\n");
  CHECK(has(sealed.err, "Read-only file system"));
}

TEST_CASE("mortise-run: limits hold") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  CHECK(run_script({"--memory", "16m"}, "exec dd if=/dev/zero of=/dev/null bs=256M count=1").code == 128 + SIGKILL);
  const outcome forks = run_script({"--pids-limit", "4"}, "for i in 1 2 3 4 5 6; do sleep 1 & done; wait");
  CHECK(has(forks.err, "Resource temporarily unavailable"));
  program box(command({"-q", "--name", "limited", "--cpus", "0.2", scene::get().image(), "/bin/sh", "-c",
                       "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"}));
  REQUIRE(box.wait_for(0, "ready"));
  const outcome quota = examples::run({"sh", "-c",
                                       "cat $(find /sys/fs/cgroup -path '*limited/cpu.cfs_quota_us' "
                                       "-o -path '*limited/cpu.max')"});
  CHECK_MESSAGE(quota.out.starts_with("20000"), quota.out);
  box.signal(SIGTERM);
  CHECK(box.finish().code == 0);
}

TEST_CASE("mortise-run: each backend, with and without privileges") {
  if (examples::missing_host() || support::missing_user_namespaces()) return;
  (void)scene::get();
  const host place;
  const std::string script = "echo new > /file && rm /etc/text && cat /file && ls /etc && id -u";
  for (const std::string backend : {"overlay", "copy", "erofs", "auto"}) {
    for (const bool rootless : {false, true}) {
      CAPTURE(backend);
      CAPTURE(rootless);
      if (rootless && backend == "erofs") continue;
      std::vector<std::string> options = {"--backend", backend};
      if (rootless) options.emplace_back("--rootless");
      const outcome ran = run_script(options, script);
      CHECK(ran.err == "");
      CHECK(ran.out == "new\ngroup\npasswd\n0\n");
      CHECK(run_script(options, "cat /etc/text").out == "not a program\n");
    }
  }
}

TEST_CASE("mortise-run: which backend was chosen is said") {
  if (examples::missing_host() || support::missing_user_namespaces()) return;
  (void)scene::get();
  const host place;
  const outcome ran = mortise_run({"--rootless", "--backend", "auto", scene::get().image(), "true"});
  CHECK(ran.code == 0);
  CHECK(has(ran.err, "provision: unprivileged-overlay root"));
}

TEST_CASE("mortise-run: an image that is packed, bound, and beside another one") {
  if (examples::missing_host() || support::missing_erofs()) return;
  (void)scene::get();
  const host place;
  const std::string other = scene::get().image();
  const outcome ran =
      run_script({"--backend", "erofs", "--disk", "1m", "--image-volume", other + ":/other"},
                 "cat /other/etc/text; dd if=/dev/zero of=/big bs=64k count=64 2>/dev/null || echo full");
  CHECK(ran.err == "");
  CHECK(ran.out == "not a program\nfull\n");
}

TEST_CASE("mortise-run: users of the container's own") {
  if (examples::missing_host() || support::missing_mapped_ids()) return;
  (void)scene::get();
  const host place;
  const outcome ran = run_script({"--map-ids", "100000:65536"}, "cat /proc/self/uid_map; stat -c %u /etc/text");
  CHECK(ran.err == "");
  CHECK(ran.out == "         0     100000      65536\n0\n");
}

TEST_CASE("mortise-run: as nobody it runs rootless by itself, and says so") {
  if (examples::missing_host() || support::missing_user_namespaces()) return;
  (void)scene::get();
  const examples::private_defaults defaults;
  const std::string home = scene::get().nobody();
  const run_options nobody = {.as_nobody = true,
                              .env = {"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_DATA_HOME=" + home + "/data"}};
  const std::string program = scene::get().mortise_run();
  for (const std::string backend : {"overlay", "copy"}) {
    CAPTURE(backend);
    const outcome ran = examples::run({program, "--backend", backend, scene::get().image(), "sh", "-c",
                                       "id -u; echo x > /file && cat /file; cat /proc/self/uid_map"},
                                      nobody);
    CHECK(ran.code == 0);
    CHECK(ran.out.starts_with("0\nx\n"));
    CHECK(has(ran.out, "65534"));
    CHECK(has(ran.err, "mortise-run: not root: running rootless, in a user namespace\n"));
    CHECK(examples::left_in(home + "/data/mortise", home + "/mortise-run") == "");
  }
  CHECK(examples::run({program, "-q", "--rootless", scene::get().image(), "true"}, nobody).err == "");
}

TEST_CASE("mortise-run: wrong options are named, with what would be right") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "no image is named (write mortise-run [OPTIONS] IMAGE)"},
      {{"--memroy", "1m", "x"}, "unknown option '--memroy' (did you mean --memory SIZE)"},
      {{"-z", "x"}, "unknown option '-z'"},
      {{"--frobnicate"}, "unknown option '--frobnicate' (see --help)"},
      {{"--memory", "much", "x"}, "option --memory: 'much' is not a size such as 512k, 64m or 2g"},
      {{"--memory"}, "option --memory lacks its value (write --memory SIZE)"},
      {{"--rootless=yes", "x"}, "option --rootless takes no value (write --rootless)"},
      {{"--cpus", "two", "x"}, "option --cpus: 'two' is not a number of processors such as 1.5"},
      {{"--pids-limit", "-3", "x"}, "option --pids-limit: '-3' is not a whole number"},
      {{"-e", "=v", "x"}, "option --env: '=v' is not NAME=VALUE or NAME"},
      {{"-v", "/a", "x"}, "option --volume: '/a' is not SRC:DST[:ro]"},
      {{"-v", "/a:b", "x"}, "option --volume: '/a:b' is not SRC:DST[:ro]"},
      {{"-v", "/a:/b:rx", "x"}, "option --volume: '/a:/b:rx' is not SRC:DST[:ro]"},
      {{"--backend", "zfs", "x"}, "option --backend: 'zfs' is not a backend: erofs, overlay, aufs, copy, bind, auto"},
      {{"--backend", "erofs", "--rootless", "x"},
       "option --backend: 'erofs' is not a backend that needs no privileges: overlay, copy, bind, auto"},
      {{"--image-volume", "x", "y"}, "option --image-volume: 'x' is not IMAGE:DST, an image and an absolute path"},
      {{"--image-volume", "oci:/x", "y"}, "option --image-volume: 'oci:/x' is not IMAGE:DST, an image and an absolute"},
      {{"--image-volume", "docker://x", "y"}, "option --image-volume: 'docker://x' is not IMAGE:DST, an image and an"},
      {{"--disk", "0", "x"}, "option --disk: '0' is not a size such as 512k, 64m or 2g (--read-only for nothing"},
      {{"--disk", "much", "x"}, "option --disk: 'much' is not a size such as 512k, 64m or 2g"},
      {{"--map-ids", "100000", "x"}, "option --map-ids: '100000' is not FIRST:COUNT, two numbers"},
      {{"--map-ids", "1:-1", "x"}, "option --map-ids: '1:-1' is not FIRST:COUNT, two numbers"},
      {{"--map-ids", "4294967295:1", "x"}, "option --map-ids: map ids: 1 from 4294967295 on are more than there are"},
      {{"--map-ids", "100000:10", "--rootless", "x"}, "option --map-ids is for root"},
      {{"--map-ids", "100000:10", "--backend", "copy", "x"},
       "option --backend: 'copy' is not a backend that maps ids: overlay"},
      {{"--platform", "a/b/c/d", "x"}, "option --platform: parse platform 'a/b/c/d'"},
      {{"--name", "../up", "x"}, "option --name: parse container id '../up'"},
  };
  for (const auto& [words, message] : wrong) {
    const outcome refused = mortise_run(words);
    CAPTURE(message);
    CHECK(refused.code == 125);
    CHECK(refused.out == "");
    CHECK_MESSAGE(refused.err.starts_with("mortise-run: " + message), refused.err);
  }
}

TEST_CASE("mortise-run: what is odd about an image is said, and it runs") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const support::temporary_directory scratch;
  support::layout_builder layout(scratch / "odd");
  const auto layer = support::plain_layer(support::tar_builder().directory("etc").text());
  const std::string manifest = layout.put_image({layer}, {}, "s390x");
  const auto wanted = mortise::model::host_platform();
  layout.write_index({support::descriptor(mortise::image::media::oci_manifest, manifest,
                                          support::for_platform("linux", wanted.architecture))});
  const std::string image = "oci:" + layout.path();
  const outcome ran = mortise_run({image, "/bin/true"});
  CHECK(ran.code == 127);
  CHECK_MESSAGE(has(ran.err, "mortise-run: warning: " + image + ": its index has it for " + wanted.text() +
                                 ", and its configuration says linux/s390x: it may not run\n"),
                ran.err);
  CHECK_FALSE(has(mortise_run({"-q", image, "/bin/true"}).err, "warning"));
}

TEST_CASE("mortise-run: wrong images and wrong wishes are refused as 125, by name") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::string layout = scene::get().layout();
  const std::string image = scene::get().image();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"Busybox"}, "no source of this store takes it (write oci:PATH[:TAG] or docker-archive:PATH[:REF] or "},
      {{"oci:/nowhere"}, "open image 'oci:/nowhere'"},
      {{"oci:" + layout + ":nope"}, "no tag 'nope'"},
      {{"docker-archive:" + layout}, "provide image 'docker-archive:"},
      {{"--platform", "plan9/mips", image}, "plan9/mips"},
      {{"--memory", "1k", image}, "limit memory to 1024 B: the least is"},
      {{"-v", "/nowhere:/x", image}, "volume '/nowhere': No such file or directory"},
      {{"-v", "/:/proc", image}, "nothing may be mounted over /proc or /sys"},
      {{"-u", "nobody-here", image}, "become user 'nobody-here'"},
      {{"-w", "relative", image}, "working directory 'relative' is not an absolute path"},
      {{"--hostname", "-", image}, "set hostname '-'"},
      {{"--entrypoint=", image}, "nothing to run"},
  };
  for (const auto& [words, message] : wrong) {
    std::vector<std::string> all = {"-q"};
    all.insert(all.end(), words.begin(), words.end());
    const outcome refused = mortise_run(all);
    CAPTURE(message);
    CHECK(refused.code == 125);
    CHECK_MESSAGE(has(refused.err, message), refused.err);
  }
}

TEST_CASE("mortise-run: help and version") {
  if (examples::missing_host()) return;
  const outcome help = mortise_run({"--help"});
  CHECK(help.code == 0);
  CHECK(help.out.starts_with("usage: mortise-run [OPTIONS] IMAGE [ARGS...]\n"));
  for (const auto* const option :
       {"--memory SIZE", "--cpus N", "--pids-limit N", "-e, --env K=V", "-v, --volume SRC:DST[:ro]",
        "-w, --workdir DIR", "-u, --user USER", "--read-only", "--hostname H", "--backend NAME",
        "--image-volume IMAGE:DST", "--disk SIZE", "--map-ids FIRST:COUNT", "--rootless", "--store DIR", "--platform P",
        "-q, --quiet", "EXIT CODE", "EXAMPLES"})
    CHECK_MESSAGE(has(help.out, option), option);
  CHECK(mortise_run({"--version"}).out.starts_with("mortise-run "));
}

TEST_CASE("mortise-run: a signal cancels a pull, and the next one succeeds") {
  if (examples::missing_host()) return;
  (void)scene::get();
  const host place;
  const std::string image = "oci:" + scene::get().layout() + ":large";
  program pull(command({image, "true"}), {.terminal = true, .env = {"TERM=xterm"}});
  REQUIRE(pull.wait_for(1, "layer 2"));
  pull.signal(SIGINT);
  const outcome cancelled = pull.finish();
  CHECK(cancelled.code == 128 + SIGINT);
  CHECK(has(cancelled.err, "cancelled by a signal"));
  CHECK(mortise_run({"-q", image, "true"}).code == 0);
}

TEST_CASE("mortise-run: an image from a registry, by its bare name") {
  if (examples::missing_host() || support::missing_registry()) return;
  (void)scene::get();
  const host place;
  const support::real_registry registry;
  const std::string name = registry.host() + "/box";
  REQUIRE(examples::run({"skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", scene::get().image(),
                         "docker://" + name})
              .code == 0);
  const outcome missing = mortise_run({"-q", "--pull", "never", name, "true"});
  CHECK(missing.code == 125);
  CHECK(has(missing.err, "it is not in the store for linux/"));
  const outcome ran = mortise_run({name, "echo", "pulled"});
  CHECK_MESSAGE(ran.code == 0, ran.err);
  CHECK(ran.out == "pulled\n");
  CHECK(has(ran.err, "fetch: " + name + ", 1 layer, "));
  CHECK(mortise_run({"-q", "--pull", "always", name, "true"}).code == 0);
  CHECK(mortise_run({"-q", "--pull", "never", name, "true"}).code == 0);
  const outcome unknown = mortise_run({"-q", registry.host() + "/nothing:here", "true"});
  CHECK(unknown.code == 125);
  CHECK(has(unknown.err, "open image") + has(unknown.err, "provide image") == 1);
}

TEST_CASE("mortise-run: what a killed one leaves, the next one frees") {
  if (examples::missing_host() || support::missing_user_namespaces()) return;
  (void)scene::get();
  const host place;
  const std::string volume = scene::get().image() + ":/tmp";
  for (const auto& options : std::vector<std::vector<std::string>>{{},
                                                                   {"--backend", "copy"},
                                                                   {"--backend", "bind"},
                                                                   {"--rootless"},
                                                                   {"--disk", "16m", "--image-volume", volume}})
    kill_and_run_again(options);
}

TEST_CASE("mortise-run: what a killed one leaves of a packed image, the next one frees") {
  if (examples::missing_host() || support::missing_erofs()) return;
  (void)scene::get();
  const host place;
  kill_and_run_again({"--backend", "erofs", "--disk", "16m"});
}

TEST_CASE("mortise-run: what a killed one leaves of mapped layers, the next one frees") {
  if (examples::missing_host() || support::missing_mapped_ids()) return;
  (void)scene::get();
  const host place;
  kill_and_run_again({"--map-ids", "100000:65536", "--disk", "16m"});
}
