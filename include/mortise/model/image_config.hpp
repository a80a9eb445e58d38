// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How an image wishes to be run: OCI image-spec config.md. It is the image's word, so it is data: nothing
/// here is a path on the host or a permission.

#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/platform.hpp>
#include <string>
#include <vector>

namespace mortise::model {

/// One step of how the image was built.
struct history_entry {
  std::string created;
  std::string created_by;
  std::string comment;
  bool empty_layer = false;  ///< the step made no layer
};

struct image_config {
  model::platform platform;  ///< normalised
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;  ///< arguments of the entrypoint, or the program where there is none
  std::vector<std::string> env;  ///< NAME=VALUE
  std::string working_directory;
  std::string user;  ///< user, uid, user:group, uid:gid or mixed; names are the image's own
  std::string stop_signal;
  std::vector<std::string> volumes;
  std::vector<std::string> exposed_ports;
  annotations labels;
  std::string created;
  std::string author;
  std::vector<digest> diff_ids;  ///< of the uncompressed layers, bottom first
  std::vector<history_entry> history;
  /// Of an Appc image its own manifest, verbatim: what it asks for beyond the above, isolators among it. Empty for all
  /// others.
  std::string appc_manifest;
};

}  // namespace mortise::model
