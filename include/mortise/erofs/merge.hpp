// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Applies a layer's tar to the merged tree of those below: OCI image-spec layer.md. Needs: libarchive.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/apply_request.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/archive/tar.hpp>
#include <mortise/archive/whiteout.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/erofs/format.hpp>
#include <mortise/erofs/place.hpp>
#include <mortise/erofs/tree.hpp>
#include <mortise/erofs/xattr_set.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::erofs {

/// One layer. What it deletes are names of lower layers, wherever in its tar it says so; what it says twice counts as
/// it says it last. Refuses what archive::apply refuses.
class merger {
 public:
  merger(tree& all, std::uint32_t layer, const archive::limits& caps, const std::optional<archive::subtree>& only,
         const std::atomic<bool>* cancelled)
      : tree_(all),
        layer_(layer),
        limits_(caps),
        only_(only),
        cancelled_(cancelled),
        places_(all, layer, caps, only.has_value()) {}

  /// Reads the tar's headers, and the beginnings of its files; it has `size` bytes. Returns how many entries it has.
  absl::StatusOr<std::uint64_t> run(reader& from, std::uint64_t size) {
    tar_size_ = size;
    constexpr std::size_t buffer = std::size_t{64} << 10;
    archive::tar_reader tar(from, limits_, buffer);
    archive::entry current;
    for (std::uint64_t count = 0;; ++count) {
      MORTISE_ASSIGN_OR_RETURN(const bool more, tar.next(current));
      if (!more) return count;
      absl::Status status = check_wanted(count);
      if (status.ok()) status = apply(current, tar);
      if (!status.ok()) return annotate(status, concat("index '", printable(current.path), '\''));
    }
  }

 private:
  using place = place_finder::place;

  static absl::Status refuse(std::string_view why) { return error(absl::StatusCode::kInvalidArgument, why); }

  [[nodiscard]] absl::Status check_wanted(std::uint64_t entries = 0) const {
    if (cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed))
      return error(absl::StatusCode::kCancelled, "cancelled");
    return check_size(tree_, limits_, entries, places_.weight());
  }

  absl::Status apply(const archive::entry& about, archive::tar_reader& tar) {
    MORTISE_ASSIGN_OR_RETURN(const auto path, archive::entry_path::parse(about.path, limits_));
    if (about.link_target.size() > limits_.link_target)
      return archive::beyond_limits(concat("a link target longer than the ", limits_.link_target, " bytes allowed"));
    places_.implied_by(about.modified.tv_sec, static_cast<std::uint32_t>(about.modified.tv_nsec));
    if (only_) {
      const auto below = only_->find(path);
      if (!below) return absl::OkStatus();
      return below->is_root() ? set_root(about) : apply_named(about, *below, tar);
    }
    if (path.is_root()) return set_root(about);
    if (path.text().find(archive::whiteout_prefix) == std::string::npos) return apply_named(about, path, tar);
    MORTISE_ASSIGN_OR_RETURN(const bool meant, archive::has_meaning_below(path.parent()));
    if (!meant) return absl::OkStatus();
    const archive::whiteout mark = archive::classify_whiteout(path.name());
    switch (mark.kind) {
      case archive::whiteout_kind::none:
        return apply_named(about, path, tar);
      case archive::whiteout_kind::name:
        return apply_whiteout(path, mark.target);
      case archive::whiteout_kind::opaque:
        return apply_opaque(path);
      case archive::whiteout_kind::metadata:
        return absl::OkStatus();
      case archive::whiteout_kind::invalid:
        break;
    }
    return refuse("it is a whiteout of a directory's own name");
  }

  // --- what the tar has ----------------------------------------------------------------------------------------------

  absl::Status set_root(const archive::entry& about) {
    if (about.type != archive::entry_type::directory)
      return refuse(concat("the root is a ", name_of(about.type), ", and must be a directory"));
    return set_attributes(about, tree_.at(tree::root));
  }

  absl::Status apply_named(const archive::entry& about, const archive::entry_path& path, archive::tar_reader& tar) {
    if (about.type == archive::entry_type::hard_link) return apply_hard_link(about, path);
    if (about.type == archive::entry_type::character_device && about.device == 0)
      return refuse("it is the device 0:0, which would delete a name of lower layers");
    MORTISE_ASSIGN_OR_RETURN(const place in, places_.enter(path.parent()));
    if (about.type == archive::entry_type::directory) return make_directory(in.directory, path.name(), about);
    inode made;
    MORTISE_RETURN_IF_ERROR(set_attributes(about, made));
    if (about.type == archive::entry_type::regular) MORTISE_RETURN_IF_ERROR(find_data(about, tar, made));
    if (made.is_link()) {
      made.size = about.link_target.size();
      made.more = tree_.add_target(about.link_target);
    }
    if (S_ISCHR(made.mode) || S_ISBLK(made.mode)) made.device = encode_device(major(about.device), minor(about.device));
    tree_.link(in.directory, path.name(), tree_.add(made), layer_);
    return absl::OkStatus();
  }

  /// One that is there stays, with what is in it, and gets the entry's attributes; one that replaces something else of
  /// this layer, or a deletion, hides what lower layers have there, as that something did.
  absl::Status make_directory(std::uint32_t in, const char* text, const archive::entry& about) {
    const name* const found = tree_.find(in, text);
    if (found != nullptr && tree_.at(found->inode).is_directory()) {
      const std::uint32_t which = found->inode;
      tree_.names_of(in).names.find(text)->second.layer = layer_;
      tree_.names_of(which).hollow_in = none;
      return set_attributes(about, tree_.at(which));
    }
    const bool replaces = found != nullptr ? found->layer == layer_ : places_.is_deleted(in, text);
    inode made;
    MORTISE_RETURN_IF_ERROR(set_attributes(about, made));
    const std::uint32_t which = tree_.add(made);
    tree_.make_directory(which, in);
    if (replaces) tree_.names_of(which).opaque_in = layer_;
    tree_.link(in, text, which, layer_);
    return absl::OkStatus();
  }

  absl::Status set_attributes(const archive::entry& about, inode& to) {
    const bool is_plain = about.type == archive::entry_type::regular || about.type == archive::entry_type::directory;
    MORTISE_ASSIGN_OR_RETURN(std::string xattrs, encode_xattrs(about.xattrs, is_plain));
    to.xattrs = tree_.add_xattrs(std::move(xattrs));
    const mode_t mode = about.type == archive::entry_type::symbolic_link ? 0777 : about.mode;
    to.mode = static_cast<std::uint16_t>(type_bits(about.type) | mode);
    to.uid = about.uid;
    to.gid = about.gid;
    to.seconds = about.modified.tv_sec;
    to.nanoseconds = static_cast<std::uint32_t>(about.modified.tv_nsec);
    return absl::OkStatus();
  }

  static unsigned type_bits(archive::entry_type type) {
    switch (type) {
      case archive::entry_type::directory:
        return S_IFDIR;
      case archive::entry_type::symbolic_link:
        return S_IFLNK;
      case archive::entry_type::character_device:
        return S_IFCHR;
      case archive::entry_type::block_device:
        return S_IFBLK;
      case archive::entry_type::fifo:
        return S_IFIFO;
      default:
        return S_IFREG;
    }
  }

  /// The data of a file lies in one run from a block's beginning on, unless it has holes.
  absl::Status find_data(const archive::entry& about, archive::tar_reader& tar, inode& to) {
    to.size = about.size;
    to.device = layer_;
    if (about.size > limits_.unpacked.count)
      return archive::beyond_limits(concat("a file of more than the ", limits_.unpacked.count, " bytes allowed"));
    if (about.size == 0) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const archive::extent first, tar.data());
    if (!tar.is_sparse() && !first.bytes.empty() && first.offset == 0 && tar.data_position() % 512 == 0) {
      // The map of a sparse file may claim that there is no hole, and more than there is.
      if (tar.data_position() + about.size > tar_size_) return refuse("its data reaches beyond the archive");
      to.place = placement::tar;
      to.content = tar.data_position();
      return absl::OkStatus();
    }
    return find_pieces(first, tar, to);
  }

  absl::Status find_pieces(archive::extent piece, archive::tar_reader& tar, inode& to) {
    std::vector<segment> all;
    while (!piece.bytes.empty()) {
      MORTISE_RETURN_IF_ERROR(check_wanted());
      const std::uint64_t size = piece.bytes.size();
      if (piece.offset > to.size || size > to.size - piece.offset) return refuse("its data reaches beyond its size");
      const std::uint64_t position = tar.data_position();
      const bool goes_on = !all.empty() && all.back().offset + all.back().size == piece.offset &&
                           all.back().position + all.back().size == position;
      if (goes_on) {
        all.back().size += size;
      } else if (all.size() == most_pieces) {
        return error(absl::StatusCode::kResourceExhausted, concat("it has more than ", most_pieces, " pieces"));
      } else {
        all.push_back({piece.offset, position, size});
      }
      MORTISE_ASSIGN_OR_RETURN(piece, tar.data());
    }
    to.place = placement::flattened;
    to.content = tree_.add_pieces(std::move(all));
    return absl::OkStatus();
  }

  // --- hard links ----------------------------------------------------------------------------------------------------

  absl::Status apply_hard_link(const archive::entry& about, const archive::entry_path& path) {
    auto target = archive::entry_path::parse(about.link_target, limits_);
    if (target.ok() && only_) target = only_->target(*target);
    absl::Status status = target.ok() ? link(path, *target) : target.status();
    return status.ok() ? status : annotate(status, concat("link to '", printable(about.link_target), '\''));
  }

  /// To something of this layer, or else of those below, whose file then has one more name.
  absl::Status link(const archive::entry_path& path, const archive::entry_path& target) {
    if (target.is_root()) return refuse("a hard link to the root directory");
    if (target.text() == path.text()) return refuse("a hard link to itself");
    MORTISE_ASSIGN_OR_RETURN(place in, places_.enter(path.parent()));
    const name* found = find_own(target.text());
    if (found == nullptr && only_) return refuse("it is not in the archive before the link");
    if (found == nullptr) {
      MORTISE_ASSIGN_OR_RETURN(const place other, places_.enter(target.parent()));
      found = tree_.find(other.directory, target.name());
      if (found == nullptr) return refuse("neither this layer nor one below has it");
      if (!tree_.at(found->inode).is_directory()) places_.note_copied_up(other.directory, target.name());
    }
    const std::uint32_t linked = found->inode;
    if (tree_.at(linked).is_directory()) return refuse("it is a directory");
    MORTISE_ASSIGN_OR_RETURN(in, places_.enter(path.parent()));
    tree_.link(in.directory, path.name(), linked, layer_);
    return absl::OkStatus();
  }

  /// What this layer has at a path, by directories of its own.
  [[nodiscard]] const name* find_own(std::string_view path) const {
    std::uint32_t in = tree::root;
    for (;;) {
      const std::string_view part = path.substr(0, path.find('/'));
      const name* const found = tree_.find(in, part);
      if (found == nullptr || found->layer != layer_ || part.size() == path.size())
        return found != nullptr && found->layer == layer_ ? found : nullptr;
      if (!tree_.at(found->inode).is_directory()) return nullptr;
      in = found->inode;
      path.remove_prefix(part.size() + 1);
    }
  }

  // --- whiteouts -----------------------------------------------------------------------------------------------------

  /// What this layer itself has by that name stays; but a directory then no longer shows what is below it.
  absl::Status apply_whiteout(const archive::entry_path& path, std::string_view target) {
    MORTISE_ASSIGN_OR_RETURN(const auto in, places_.enter_to_hide(path.parent()));
    if (!in) return absl::OkStatus();
    const name* const found = tree_.find(in->directory, target);
    if (found == nullptr || found->layer != layer_) places_.note_deleted(in->directory, target);
    if (found == nullptr) return absl::OkStatus();
    const bool is_directory = tree_.at(found->inode).is_directory();
    const bool is_hollow = is_directory && tree_.names_of(found->inode).hollow_in == layer_;
    if (is_hollow) places_.note_deleted(in->directory, target);
    if (found->layer != layer_ || is_hollow) {
      tree_.remove(in->directory, target);
    } else if (is_directory) {
      hide_lower(found->inode);
    }
    return absl::OkStatus();
  }

  absl::Status apply_opaque(const archive::entry_path& path) {
    MORTISE_ASSIGN_OR_RETURN(const place in, places_.enter(path.parent()));
    hide_lower(in.directory);
    return absl::OkStatus();
  }

  /// Takes out of a directory, and of those in it that are this layer's, what is not this layer's.
  void hide_lower(std::uint32_t directory) {
    std::vector<std::uint32_t> all;
    if (tree_.names_of(directory).opaque_in != layer_) all.push_back(directory);
    while (!all.empty()) {
      const std::uint32_t next = all.back();
      all.pop_back();
      tree_.names_of(next).opaque_in = layer_;
      std::vector<std::string> hidden;
      for (const auto& [text, each] : tree_.names_of(next).names) {
        if (each.layer != layer_) {
          hidden.push_back(text);
        } else if (tree_.at(each.inode).is_directory() && tree_.names_of(each.inode).opaque_in != layer_) {
          all.push_back(each.inode);
        }
      }
      for (const std::string& text : hidden) tree_.remove(next, text);
    }
  }

  static constexpr std::size_t most_pieces = 1'000'000;

  tree& tree_;
  std::uint32_t layer_;
  const archive::limits& limits_;
  const std::optional<archive::subtree>& only_;
  const std::atomic<bool>* cancelled_;
  std::uint64_t tar_size_ = 0;
  place_finder places_;
};

}  // namespace mortise::erofs
