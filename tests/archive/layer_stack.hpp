// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers unpacked one over another, as an image's are, and what overlayfs makes of them.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <archive/tree.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <digest/memory_reader.hpp>
#include <mortise/archive/apply.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <stdexcept>
#include <string>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace support {

/// The directories of `place`, numbered from the bottom.
template <class Format = mortise::model::overlay_layers>
class layer_stack {
 public:
  layer_stack() : place_(own_.path()) {}
  /// In a directory that is somebody else's (a small tmpfs, say).
  explicit layer_stack(std::string place) : place_(std::move(place)) {}

  /// Unpacks a tar over what there is. What is left of a layer that failed is the top, but below nothing.
  absl::StatusOr<mortise::archive::applied> add(const std::string& tar, mortise::archive::apply_request request = {},
                                                std::size_t piece = 1 << 20) {
    memory_reader source(tar, piece);
    return add(source, std::move(request));
  }
  absl::StatusOr<mortise::archive::applied> add(mortise::reader& source, mortise::archive::apply_request request = {}) {
    const std::string directory = at(count_);
    if (::mkdir(directory.c_str(), 0700) != 0) throw std::runtime_error("mkdir " + directory);
    std::vector<int> lower;
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) lower.push_back(layer->get());
    MORTISE_ASSIGN_OR_RETURN(mortise::sys::unique_fd staging, mortise::sys::open(directory, O_RDONLY | O_DIRECTORY));
    ++count_;
    request.staging = staging.get();
    request.lower = [&]() -> absl::StatusOr<std::span<const int>> {
      ++lower_asked_;
      return std::span<const int>(lower);
    };
    auto result = mortise::archive::apply<Format>(source, request);
    if (result.ok()) layers_.push_back(std::move(staging));
    return result;
  }

  /// Layer `which`, from the bottom; the top one if not said.
  [[nodiscard]] tree layer(std::size_t which) const { return tree(at(which)); }
  [[nodiscard]] tree top() const { return tree(at(count_ - 1)); }
  [[nodiscard]] std::string path() const { return at(count_ - 1); }

  /// How often apply() asked for the lower layers, altogether.
  [[nodiscard]] int lower_asked() const { return lower_asked_; }

  /// What overlayfs shows of all layers together. Needs root.
  [[nodiscard]] tree merged() const {
    const std::string point = place_ + "/merged";
    ::mkdir(point.c_str(), 0755);
    ::mkdir((place_ + "/empty").c_str(), 0755);  // overlayfs wants two lower directories where there is no upper
    std::string options = "lowerdir=";
    for (std::size_t layer = count_; layer-- > 0;) options += at(layer) + ':';
    options += place_ + "/empty";
    if (::mount("overlay", point.c_str(), "overlay", MS_RDONLY, options.c_str()) != 0)
      throw std::runtime_error("mount overlay: " + std::string(std::strerror(errno)));
    tree shown(point);
    ::umount2(point.c_str(), MNT_DETACH);
    return shown;
  }

 private:
  [[nodiscard]] std::string at(std::size_t layer) const { return place_ + "/layer" + std::to_string(layer); }

  temporary_directory own_;
  std::string place_;
  std::size_t count_ = 0;
  std::vector<mortise::sys::unique_fd> layers_;
  int lower_asked_ = 0;
};

}  // namespace support
