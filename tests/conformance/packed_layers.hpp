// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers made from the descriptions of layers.hpp as tars, and packed into an image that is never unpacked.

#include <fcntl.h>
#include <sys/stat.h>

#include <archive/tar_builder.hpp>
#include <conformance/layers.hpp>
#include <mortise/erofs/index.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace conformance {

/// One layer for the backend, however many there are: the image as a store would lay it down.
template <>
class layer_set<mortise::model::erofs_layers> {
 public:
  explicit layer_set(std::string prefix) : directory_(std::move(prefix) + "image") {}

  void add(const std::vector<entry>& entries) {
    support::tar_builder tar;
    std::set<std::string> made;
    for (const entry& each : entries) append_parents(tar, each.path, made);
    for (const entry& each : entries) append(tar, each);
    tars_.push_back(tar.text());
    packed_ = false;
  }
  void repeat(std::size_t which) {
    tars_.push_back(std::string(tars_[which]));
    packed_ = false;
  }

  [[nodiscard]] const mortise::model::layers& all() const {
    if (!packed_) pack();
    packed_ = true;
    return image_;
  }

 private:
  /// Parents that are not described are made, as in a layer on disk; whether a tar may leave them out is not tested
  /// here.
  static void append_parents(support::tar_builder& to, const std::string& path, std::set<std::string>& made) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (made.insert(path.substr(0, slash)).second) to.directory(path.substr(0, slash));
  }

  static void append(support::tar_builder& to, const entry& what) {
    const std::size_t slash = what.path.rfind('/');
    const std::string parent = slash == std::string::npos ? "" : what.path.substr(0, slash + 1);
    support::tar_member member{.name = what.path, .mode = what.mode & 07777};
    member.pax.emplace_back("mtime", std::to_string(what.modified) + ".123456789");
    member.xattrs = what.xattrs;
    if (what.owner) member.uid = *what.owner, member.gid = *what.owner + 1;
    switch (what.type) {
      case kind::file:
        member.data = what.text;
        break;
      case kind::symlink:
        member.link = what.text;
        member.type = '2';
        member.mode = 0777;
        break;
      case kind::hard_link:
        member = {.name = what.path, .link = what.text, .type = '1'};
        break;
      case kind::node:
        member.type = S_ISFIFO(what.mode) ? '6' : '3';
        member.major = major(what.device);
        member.minor = minor(what.device);
        break;
      case kind::whiteout:
        member = {.name = parent + ".wh." + what.path.substr(parent.size())};
        break;
      case kind::directory:
      case kind::opaque:
        member.type = '5';
        member.mode = what.type == kind::opaque ? 0755 : member.mode;
        break;
    }
    to.add(std::move(member));
    if (what.type == kind::opaque) to.add({.name = (what.path == "." ? "" : what.path + '/') + ".wh..wh..opq"});
  }

  void pack() const {
    using namespace mortise;
    check(sys::remove_tree(directory_).ok() || errno == ENOENT, "remove the former image");
    check(sys::make_directories(directory_).ok(), "make " + directory_);
    std::vector<sys::unique_fd> files;
    std::vector<erofs::layer_tar> sources;
    for (const std::string& each : tars_) {
      const std::string path = directory_ + '/' + std::to_string(files.size());
      files.emplace_back(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      check(files.back() && sys::write_all(files.back().get(), each).ok(), "write " + path);
      sources.push_back({files.back().get(), {}});
    }
    const sys::unique_fd index(::open((directory_ + "/index").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    check(static_cast<bool>(index), "make the index");
    const auto written = erofs::write_index(sources, index.get(), {});
    if (!written.ok()) throw std::runtime_error(std::string(message(written.status())));
    image_ = {{std::nullopt, directory_}};
  }

  std::string directory_;
  std::vector<std::string> tars_;
  mutable mortise::model::layers image_;
  mutable bool packed_ = false;
};

}  // namespace conformance
