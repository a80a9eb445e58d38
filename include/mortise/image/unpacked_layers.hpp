// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The unpacked layers of a store in one format: finding them, publishing them, marking them as synced.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/layer_record.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// Where a layer's tree lies.
struct unpacked_layer {
  std::string directory;     ///< absolute
  bool opaque_root = false;  ///< it hides all layers below
};

/// A layer is looked for by its own key, then by that of its chain: which of the two it lies under is known only
/// once it has been unpacked (images with the same layer on other layers share it where they can).
class unpacked_layers {
 public:
  unpacked_layers(const store_directory& store, std::string_view format) : store_(store), format_(format) {}

  /// Nothing where a layer is not there or may have lost something.
  [[nodiscard]] std::optional<unpacked_layer> find(const layer_key& key) const {
    for (const std::string& name : {own_name(key), chain_name(key)})
      if (const auto record = read(name)) return unpacked_layer{tree_of(name), record->opaque_root};
    return std::nullopt;
  }

  /// Moves away what `find` would not count, into `into`, to be removed with it.
  absl::Status discard_lost(const layer_key& key, const staging& into) const {
    for (const std::string& name : {own_name(key), chain_name(key)}) {
      if (::faccessat(store_.fd(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) continue;
      // Images that share a layer may come here at once, and only what is lost must go.
      MORTISE_ASSIGN_OR_RETURN(const auto lock, file_lock::acquire(store_.locks(), "discard", [] { return false; }));
      if (read(name)) continue;
      const std::string lost = concat("lost-", name.substr(0, name.find('/')), '-', key.own.hex());
      if (::renameat(store_.fd(), name.c_str(), into.fd(), lost.c_str()) != 0 && errno != ENOENT)
        return errno_error(errno, concat("discard '", store_.path(), '/', name, '\''));
    }
    return absl::OkStatus();
  }

  /// Puts the directory `from` of `through`, which holds a finished `tree`, into the store: with its record,
  /// in one step. Another's, published before, is as good.
  absl::StatusOr<unpacked_layer> publish(const staging& through, const std::string& from, const layer_key& key,
                                         layer_record record) const {
    record.boot = boot_id();
    if (record.boot.empty() && ::syncfs(store_.fd()) != 0) return errno_error(errno, "sync the store");
    MORTISE_ASSIGN_OR_RETURN(const auto directory,
                             sys::open_at(through.fd(), from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    MORTISE_RETURN_IF_ERROR(sys::replace_file_at(directory.get(), "record", record.text()));
    const std::string name = record.chain_id ? chain_name(key) : own_name(key);
    MORTISE_RETURN_IF_ERROR(sys::make_directories(name.substr(0, name.rfind('/')), 0700, store_.fd()));
    MORTISE_RETURN_IF_ERROR(store_.publish_directory(through, from, name));
    return unpacked_layer{tree_of(name), record.opaque_root};
  }

 private:
  [[nodiscard]] std::string own_name(const layer_key& key) const {
    return concat("layers/", format_, '/', key.own.hex());
  }
  [[nodiscard]] std::string chain_name(const layer_key& key) const {
    return concat("chains/", format_, '/', key.chain.hex());
  }

  [[nodiscard]] std::string tree_of(const std::string& name) const { return concat(store_.path(), '/', name, "/tree"); }

  /// The record of a layer that is all there.
  [[nodiscard]] std::optional<layer_record> read(const std::string& name) const {
    const auto text = sys::read_file_at(store_.fd(), concat(name, "/record"), 4096);
    auto record = text.ok() ? layer_record::parse(*text) : std::nullopt;
    return record && record->holds() ? std::move(record) : std::nullopt;
  }

  const store_directory& store_;
  std::string format_;
};

/// Syncs the store's file system, then marks as synced the layers that were published before.
inline absl::Status settle(const store_directory& store) {
  std::vector<std::pair<std::string, layer_record>> unsynced;
  for (const std::string part : {"layers", "chains"}) {
    MORTISE_RETURN_IF_ERROR(sys::for_each_entry(store.fd(), part, [&](std::string_view format, unsigned char) {
      const std::string directory = concat(part, '/', format);
      return sys::for_each_entry(store.fd(), directory, [&](std::string_view id, unsigned char) {
        std::string name = concat(directory, '/', id);
        const auto text = sys::read_file_at(store.fd(), concat(name, "/record"), 4096);
        auto record = text.ok() ? layer_record::parse(*text) : std::nullopt;
        if (record && !record->boot.empty() && record->holds())
          unsynced.emplace_back(std::move(name), *std::move(record));
        return absl::OkStatus();
      });
    }));
  }
  if (unsynced.empty()) return absl::OkStatus();
  if (::syncfs(store.fd()) != 0) return errno_error(errno, concat("sync image store '", store.path(), '\''));
  MORTISE_ASSIGN_OR_RETURN(const staging through, store.stage());
  for (auto& [name, record] : unsynced) {
    record.boot.clear();
    MORTISE_RETURN_IF_ERROR(store.publish_file(through, concat(name, "/record"), record.text()));
  }
  return absl::OkStatus();
}

}  // namespace mortise::image
