// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An image of a store as JSON.

#include <string>
#include <utility>
#include <vector>

#include "image_view.hpp"
#include "layer_files.hpp"
#include "output.hpp"

namespace mortise_image {

inline std::string json_of(const layer_file& of) {
  object out;
  out.text("path", of.path).text("kind", of.kind).number("mode", of.mode).number("uid", of.uid).number("gid", of.gid);
  if (of.kind == "file") out.number("size", of.size);
  if (of.kind == "link") out.text("target", of.target);
  if (of.opaque) out.truth("opaque", true);
  return out.json();
}

/// `files` is an array of them, or empty where they were not asked for.
inline std::string json_of(const layer_view& of, const std::string& files) {
  object out;
  out.text("digest", of.blob.digest.text()).text("media_type", of.blob.type.text()).number("size", of.blob.size);
  out.truth("kept", of.kept);
  if (of.diff_id) out.text("diff_id", of.diff_id->text());
  out.raw("unpacked", array_of(of.unpacked, [](const mortise::image::stored_part& part) {
            object form;
            form.text("format", layer_view::format_of(part)).text("name", part.name).number("bytes", part.bytes);
            return form.truth("synced", part.synced).truth("lost", part.lost).json();
          }));
  if (!files.empty()) out.raw("files", files);
  return out.json();
}

inline std::string json_of(const mortise::model::annotations& pairs) {
  object out;
  for (const auto& [name, value] : pairs) out.text(name, value);
  return out.json();
}

inline void add_config(object& to, const mortise::model::image_config& of) {
  to.text("platform", of.platform.text()).text("created", of.created).text("author", of.author);
  to.raw("entrypoint", array_of(of.entrypoint)).raw("cmd", array_of(of.cmd)).raw("env", array_of(of.env));
  to.text("working_directory", of.working_directory).text("user", of.user).text("stop_signal", of.stop_signal);
  to.raw("volumes", array_of(of.volumes)).raw("exposed_ports", array_of(of.exposed_ports));
  to.raw("labels", json_of(of.labels));
}

/// `files` has one text for each layer, or is empty.
inline std::string json_of(const image_view& of, const std::vector<std::string>& files) {
  const auto descriptor = [](const mortise::model::descriptor& each) {
    return std::move(object().text("digest", each.digest.text()).text("media_type", each.type.text()))
        .number("size", each.size);
  };
  std::vector<std::string> layers;
  for (std::size_t at = 0; at < of.layers.size(); ++at)
    layers.push_back(json_of(of.layers[at], files.empty() ? std::string() : files[at]));
  object config = descriptor(of.manifest.config);
  if (of.config) add_config(config, *of.config);
  object out;
  out.text("location", of.of.record.location).text("platform", of.of.record.platform);
  out.text("used", time_text(of.of.used)).truth("pinned", of.of.pinned);
  out.raw("manifest", descriptor(of.of.record.manifest).json()).raw("config", config.json());
  return out.raw("layers", mortise::concat('[', mortise::join(layers, ","), ']')).json();
}

}  // namespace mortise_image
