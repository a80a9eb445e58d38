// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// container<Store, Rootfs, Isolators...>: a container runtime whose parts are chosen by its type.

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/detail/compose.hpp>
#include <mortise/detail/host_parts.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/isolate/facts.hpp>
#include <mortise/launch/clone.hpp>
#include <mortise/launch/launcher.hpp>
#include <mortise/launch/program.hpp>
#include <mortise/launch/written.hpp>
#include <mortise/model/exit_status.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/model/mount_target.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/model/program.hpp>
#include <mortise/observer.hpp>
#include <mortise/rootfs/backend.hpp>
#include <mortise/state/paths.hpp>
#include <mortise/state/record.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mortise {

/// Where a host keeps its things. Empty is the default for the caller: state/paths.hpp.
struct host_options {
  std::string directory;  ///< images and roots: on disk
  std::string state;      ///< records of running containers: on tmpfs
};

namespace detail {

/// A store that makes images ready in a form, or in each of those of which a backend chooses one.
template <class Store, class Format>
inline constexpr bool provides_each = image::provides<Store, Format>;
template <class Store, class... Formats>
inline constexpr bool provides_each<Store, model::one_of_layers<Formats...>> = (image::provides<Store, Formats> && ...);

}  // namespace detail

/// A running container. Move-only; its destructor destroys it silently, `destroy()` says how that went.
/// Store: image::provides its backend's layer format. Rootfs: rootfs::backend. Launcher: launch::launcher. Observer:
/// mortise::observer. Isolators: isolate::isolator or isolate::pack of them, in any order.
template <class Store, rootfs::backend Rootfs, launch::launcher Launcher, observer Observer, class... Isolators>
class basic_container {
  using composition = detail::composition<detail::isolators_of<Isolators...>>;
  using layer_format = typename Rootfs::layer_format;
  static_assert(detail::provides_each<Store, layer_format>,
                "mortise: the container's store cannot unpack layers in the form that its rootfs backend reads");
  static_assert(composition::template gives<fact::private_mounts>,
                "mortise: a container enters a root of its own, so it needs isolate::mount_namespace");
  static_assert(composition::template gives<fact::mapped_ids> == rootfs::maps_ids<Rootfs>,
                "mortise: isolate::mapped_user_namespace and a backend that maps ids, such as rootfs::mapped_overlay, "
                "need each other");
  static_assert(!(layer_format::keeps_owners && composition::template gives<fact::user_map>) ||
                    rootfs::maps_ids<Rootfs>,
                "mortise: a user namespace cannot read layers with privileged attributes: name the backend's "
                "unprivileged form, such as rootfs::unprivileged_overlay");

 public:
  class host;
  using settings = typename composition::settings_type;

  /// What to launch. Only `image` is needed.
  struct launch_options {
    std::string image{};                                   ///< as the store's sources read it
    std::vector<std::string> args{};                       ///< in place of the image's Cmd
    std::optional<std::vector<std::string>> entrypoint{};  ///< in place of the image's Entrypoint
    std::vector<std::string> env{};                        ///< NAME=VALUE, over the image's
    std::string working_directory{};
    std::string user{};                          ///< "user", "uid", "user:group" or "uid:gid"
    std::array<launch::stream, 3> stdio{};       ///< standard input, output and error; inherited
    settings with{};                             ///< what is asked of the isolators
    std::vector<model::image_volume> volumes{};  ///< other images, for platform and refresh as the first
    bytes writable{};                            ///< the most that may be written into the root; zero is no limit
    /// Called once the image is there and before anything is made for it: adds what the image itself asks for to the
    /// settings, or refuses the image by failing. An image's word alone changes nothing.
    std::function<absl::Status(const model::image&, settings&)> adjust{};
    std::optional<container_id> id{};           ///< random without
    std::optional<model::platform> platform{};  ///< the host's without
    image::refresh refresh = image::refresh::missing;
    const std::atomic<bool>* cancelled = nullptr;  ///< ends the making ready of the image
    image::warning_listener warn{};                ///< hears what is wrong with images that are taken nevertheless
  };

  basic_container(basic_container&&) noexcept = default;
  basic_container& operator=(basic_container&&) = delete;
  ~basic_container() {
    if (parts_) (void)destroy();
  }

  [[nodiscard]] const container_id& id() const { return parts_->id; }
  /// The first process, as the caller numbers it.
  [[nodiscard]] pid_t pid() const { return parts_->process->pid(); }
  /// Readable once it has ended: for poll(2) loops.
  [[nodiscard]] int pidfd() const { return parts_->process->pidfd(); }
  /// What is being run: the image as it was resolved.
  [[nodiscard]] const model::image& image() const { return parts_->image; }
  /// The caller's end of a stream that was asked for as stream::pipe(); 0, 1 or 2.
  [[nodiscard]] sys::unique_fd take_stream(int which) { return parts_->streams.take(which); }
  /// What an isolator holds: for the readings that it offers.
  template <class Isolator>
  [[nodiscard]] const isolate::held_of<Isolator>& held() const {
    return parts_->isolators.template held<Isolator>();
  }

  /// How the first process ended, waiting for it until `deadline`. Fails with DEADLINE_EXCEEDED. May be
  /// repeated. What the container holds stays until destroy.
  absl::StatusOr<model::exit_status> wait(launch::process::deadline deadline = {}) {
    return annotated(parts_->process->wait(deadline));
  }

  /// What it has written into its root; launch::written says how that is counted.
  [[nodiscard]] absl::StatusOr<sys::disk_use> disk_use() const {
    return annotated(launch::written(parts_->root, *parts_->process));
  }

  /// Sends a signal to the first process; success if it has ended.
  absl::Status kill(int signal) { return annotate(parts_->process->kill(signal), what()); }

  /// Ends the container, however many processes it has, and gives back all that it held: processes, mounts,
  /// cgroups, directories, record. Goes on after a failure and returns the first; may be repeated, and what
  /// remains then is tried again.
  absl::Status destroy();

 private:
  struct parts;
  explicit basic_container(std::unique_ptr<parts> from) : parts_(std::move(from)) {}

  [[nodiscard]] std::string what() const { return concat("container '", id().text(), '\''); }
  template <class Result>
  absl::StatusOr<Result> annotated(absl::StatusOr<Result> result) const {
    if (result.ok()) return result;
    return annotate(result.status(), what());
  }

  std::unique_ptr<parts> parts_;
};

/// A container with the standard launcher and no observer.
template <class Store, class Rootfs, class... Isolators>
using container = basic_container<Store, Rootfs, launch::clone, no_observer, Isolators...>;

/// Everything that one container holds, in the order in which it came to be: members are released in reverse.
template <class Store, rootfs::backend Rootfs, launch::launcher Launcher, observer Observer, class... Isolators>
struct basic_container<Store, Rootfs, Launcher, Observer, Isolators...>::parts {
  parts(std::shared_ptr<detail::host_parts<Store, Rootfs, Launcher, Observer>> of, container_id name, model::image what)
      : host(std::move(of)),
        id(std::move(name)),
        image(std::move(what)),
        directory(concat(host->boot_roots, '/', id.text(), '-', container_id::random().text())) {}
  struct volume {
    std::string target;
    model::image image;
  };
  parts(const parts&) = delete;
  parts& operator=(const parts&) = delete;
  ~parts() { (void)release(); }

  /// Calls `run` as one step of the container's life.
  template <class Run>
  absl::Status during(step which, Run run) {
    host->observer.begin(id, which);
    absl::Status status = run();
    host->observer.end(id, which, status);
    return status;
  }

  absl::Status provision(model::plan& plan, bytes writable, const settings& with) {
    MORTISE_ASSIGN_OR_RETURN(record, state::record::create(host->state, id, Rootfs::name, directory));
    return during(step::provision, [&]() -> absl::Status {
      MORTISE_RETURN_IF_ERROR(rootfs::check_bound<Rootfs>(writable));
      if (::mkdir(directory.c_str(), 0700) != 0) return errno_error(errno, concat("make directory '", directory, '\''));
      if (image.held) MORTISE_RETURN_IF_ERROR(image.held->keep_while(directory));
      const auto ids = composition::ids(with);
      MORTISE_RETURN_IF_ERROR(show_volumes(ids, plan));
      MORTISE_ASSIGN_OR_RETURN(root, host->rootfs.provision({image.layers, directory, writable, ids}, plan));
      return absl::OkStatus();
    });
  }

  absl::Status show_volumes(std::optional<model::id_range> ids, model::plan& plan) {
    for (std::size_t at = 0; at < volumes.size(); ++at) {
      const std::string place = concat(directory, "/volume-", at);
      const absl::Status status = show_volume(volumes[at], {volumes[at].image.layers, place, {}, ids}, plan);
      if (!status.ok()) return annotate(status, concat("image volume '", printable(volumes[at].target), '\''));
    }
    return absl::OkStatus();
  }

  absl::Status show_volume(const volume& what, const rootfs::request& wanted, model::plan& plan) {
    if constexpr (rootfs::shows<Rootfs>) {
      MORTISE_RETURN_IF_ERROR(model::check_mount_target(what.target));
      if (::mkdir(wanted.directory.c_str(), 0700) != 0)
        return errno_error(errno, concat("make directory '", wanted.directory, '\''));
      if (what.image.held) MORTISE_RETURN_IF_ERROR(what.image.held->keep_while(directory));
      MORTISE_ASSIGN_OR_RETURN(const model::slot tree, host->rootfs.show(wanted, plan));
      plan.add(model::stage::volumes,
               model::op::attach{tree, {model::slot::root, what.target}, model::missing::make_directory, true});
      return absl::OkStatus();
    } else {
      return error(absl::StatusCode::kInvalidArgument, concat("backend '", Rootfs::name, "' has none"));
    }
  }

  absl::Status prepare(model::plan& plan, const settings& with) {
    MORTISE_RETURN_IF_ERROR(record->enter(state::phase::preparing));
    detail::container_recorder recorder(*record);
    return during(step::prepare, [&] { return isolators.prepare(id, with, plan, recorder); });
  }

  absl::Status spawn(model::plan& plan, const launch_options& options) {
    MORTISE_ASSIGN_OR_RETURN(const model::program program,
                             model::make_program(image.config, {options.args, options.entrypoint, options.env,
                                                                options.working_directory, options.user}));
    MORTISE_ASSIGN_OR_RETURN(streams, launch::streams::open(options.stdio, plan));
    launch::add_program(program, plan);
    plan.add(model::stage::record, model::op::record_self{record->process()});
    plan.add(model::stage::session, model::op::new_session{});
    MORTISE_RETURN_IF_ERROR(record->enter(state::phase::spawning));
    MORTISE_RETURN_IF_ERROR(during(step::spawn, [&]() -> absl::Status {
      MORTISE_ASSIGN_OR_RETURN(process, host->launcher.spawn(plan));
      return absl::OkStatus();
    }));
    streams.spawned();
    return record->enter(state::phase::running);
  }

  /// All that there is, in reverse; each part at most once, unless it failed.
  absl::Status release() {
    if (!record) return absl::OkStatus();
    return during(step::destroy, [&]() -> absl::Status {
      (void)record->enter(state::phase::destroying);  // a full disk must not keep anything from being given back
      if (process) MORTISE_RETURN_IF_ERROR(process->end(std::chrono::steady_clock::now() + patience));
      absl::Status status = isolators.release();
      status = first_error(std::move(status), host->rootfs.destroy(directory).status());
      if (status.ok()) status = record->remove();
      if (status.ok()) record.reset();
      return status;
    });
  }

  /// A killed process may still be inside the kernel, on a dead network file system for one.
  static constexpr std::chrono::seconds patience{30};

  std::shared_ptr<detail::host_parts<Store, Rootfs, Launcher, Observer>> host;
  container_id id;
  model::image image;
  std::vector<volume> volumes;
  std::string directory;  ///< a name never used before: of two programs' containers both may be called "build"
  std::optional<state::record> record;
  model::rootfs root;
  composition isolators;
  launch::streams streams;
  std::optional<launch::process> process;
};

/// Where containers of one type live: a store of images, a place for roots, a place for records. Cheap to move;
/// may be used by several threads at once. Containers keep what they need of it when it goes.
template <class Store, rootfs::backend Rootfs, launch::launcher Launcher, observer Observer, class... Isolators>
class basic_container<Store, Rootfs, Launcher, Observer, Isolators...>::host {
 public:
  /// Makes what is missing of the directories. A backend is given where it is to be told something first, as
  /// rootfs::first_supported::only is. Fails with PERMISSION_DENIED where the directories are somebody else's.
  static absl::StatusOr<host> open(host_options options = {}, Rootfs rootfs = {}) {
    if (options.state.empty()) options.state = state::default_state_directory();
    MORTISE_RETURN_IF_ERROR(state::make_private_directory(options.state));
    if (options.directory.empty()) {  // may be one in /tmp, where somebody else may have been first
      options.directory = state::default_data_directory();
      MORTISE_RETURN_IF_ERROR(state::make_private_directory(options.directory));
    }
    MORTISE_RETURN_IF_ERROR(sys::make_directories(options.directory));
    MORTISE_ASSIGN_OR_RETURN(const std::string boot, state::boot_id());
    const std::string roots = concat(options.directory, "/containers");
    MORTISE_RETURN_IF_ERROR(state::make_private_directory(roots));
    MORTISE_RETURN_IF_ERROR(state::make_private_directory(concat(roots, '/', boot)));
    if constexpr (rootfs::opens<Rootfs>) MORTISE_RETURN_IF_ERROR(rootfs.open(concat(roots, '/', boot)));
    MORTISE_ASSIGN_OR_RETURN(Store store, Store::open(concat(options.directory, "/store")));
    return host(std::make_shared<shared>(std::move(store), std::move(rootfs), Launcher{}, Observer{}, options.state,
                                         roots, concat(roots, '/', boot)));
  }

  /// The straight line: image, root, plan, process. Failure anywhere gives back what was made, in reverse.
  absl::StatusOr<basic_container> launch(const launch_options& options) {
    const container_id id = options.id.value_or(container_id::random());
    MORTISE_ASSIGN_OR_RETURN(model::image image, fetch(id, options.image, options));
    settings with = options.with;
    if (options.adjust) MORTISE_RETURN_IF_ERROR(options.adjust(image, with));
    auto parts = std::make_unique<struct parts>(shared_, id, std::move(image));
    for (const model::image_volume& each : options.volumes) {
      MORTISE_ASSIGN_OR_RETURN(model::image shown, fetch(id, each.image, options));
      parts->volumes.push_back({each.target, std::move(shown)});
    }
    model::plan plan;
    absl::Status status = parts->provision(plan, options.writable, with);
    if (status.ok()) status = parts->prepare(plan, with);
    if (status.ok()) status = parts->spawn(plan, options);
    if (!status.ok()) return annotate(status, concat("launch container '", id.text(), '\''));
    return basic_container(std::move(parts));
  }

  /// Makes an image ready without running it.
  absl::StatusOr<model::image> fetch(const container_id& id, const std::string& location,
                                     const launch_options& options) {
    shared_->observer.begin(id, step::fetch);
    const image::provide_options how{
        .platform = options.platform, .cancelled = options.cancelled, .refresh = options.refresh, .warn = options.warn};
    const auto hear = [&](const image::progress& event) { shared_->observer.progress(id, event); };
    auto image = rootfs::with_layer_format(shared_->rootfs, [&]<class Format>(std::type_identity<Format>) {
      return shared_->store.template provide<Format>(location, how, hear);
    });
    shared_->observer.end(id, step::fetch, image.status());
    return image;
  }

  [[nodiscard]] Store& store() { return shared_->store; }
  [[nodiscard]] const Rootfs& backend() const { return shared_->rootfs; }
  [[nodiscard]] Observer& observer() { return shared_->observer; }
  [[nodiscard]] const std::string& state_directory() const { return shared_->state; }

  /// Frees what a record names: for state::recover. The container's first process has ended.
  absl::Status free(const state::contents& record) {
    if (record.backend != Rootfs::name) {
      return error(absl::StatusCode::kFailedPrecondition, concat("its root was made by backend '", record.backend,
                                                                 "', and this host has '", Rootfs::name, '\''));
    }
    for (auto each = record.isolators.rbegin(); each != record.isolators.rend(); ++each) {
      const auto [known, status] = composition::recover(each->name, each->version, each->text);
      if (!known) {
        return error(absl::StatusCode::kFailedPrecondition,
                     concat("it was isolated by '", each->name, "', which this host's containers do not have"));
      }
      MORTISE_RETURN_IF_ERROR(status);
    }
    return shared_->rootfs.destroy(record.directory).status();
  }

  /// Removes the roots of earlier boots: no process can be using them.
  absl::Status sweep() {
    const std::string_view current = std::string_view(shared_->boot_roots).substr(shared_->roots.size() + 1);
    return sys::for_each_entry(AT_FDCWD, shared_->roots, [&](std::string_view boot, unsigned char) {
      return boot == current ? absl::OkStatus() : sys::remove_tree(concat(shared_->roots, '/', boot));
    });
  }

 private:
  using shared = detail::host_parts<Store, Rootfs, Launcher, Observer>;
  explicit host(std::shared_ptr<shared> from) : shared_(std::move(from)) {}

  std::shared_ptr<shared> shared_;
};

template <class Store, rootfs::backend Rootfs, launch::launcher Launcher, observer Observer, class... Isolators>
absl::Status basic_container<Store, Rootfs, Launcher, Observer, Isolators...>::destroy() {
  return annotate(parts_->release(), concat("destroy container '", id().text(), '\''));
}

}  // namespace mortise
