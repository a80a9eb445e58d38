// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An image of a store for people: what it says and is made of, as lines or as a tree.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "image_view.hpp"
#include "layer_files.hpp"
#include "output.hpp"

namespace mortise_image {

inline std::string text_of(const mortise::model::descriptor& of) {
  return mortise::concat(of.digest.text(), ", ", shown(of.type.text()), ", ", size_text(of.size));
}

inline std::string text_of(const mortise::image::stored_part& part) {
  return mortise::concat("unpacked: ", layer_view::format_of(part), ", ", size_text(part.bytes), ", ", part.name,
                         part.lost     ? ", lost in a power cut"
                         : part.synced ? ""
                                       : ", not synced yet");
}

/// "name       value" where there is a value.
inline void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  std::string left(name);
  left.resize(12, ' ');
  mortise::append(out, left, value, '\n');
}
inline void append_fields(std::string& out, std::string_view name, const std::vector<std::string>& values) {
  for (const std::string& each : values) append_field(out, name, shown(each));
}

inline void append_config(std::string& out, const mortise::model::image_config& of) {
  append_field(out, "created", shown(of.created));
  append_field(out, "author", shown(of.author));
  append_fields(out, "entrypoint", of.entrypoint);
  append_fields(out, "cmd", of.cmd);
  append_fields(out, "env", of.env);
  append_field(out, "directory", shown(of.working_directory));
  append_field(out, "user", shown(of.user));
  append_field(out, "stop signal", shown(of.stop_signal));
  append_fields(out, "volume", of.volumes);
  append_fields(out, "port", of.exposed_ports);
  for (const auto& [name, value] : of.labels)
    append_field(out, "label", mortise::concat(shown(name), '=', shown(value)));
}

inline std::string lines_of(const image_view& of) {
  std::string out;
  append_field(out, "location", shown(of.of.record.location));
  append_field(out, "platform", shown(of.of.record.platform));
  append_field(out, "last used", time_text(of.of.used));
  append_field(out, "pinned", of.of.pinned ? "yes" : "no");
  append_field(out, "manifest", text_of(of.of.record.manifest));
  append_field(out, "config", text_of(of.manifest.config));
  if (of.config) append_config(out, *of.config);
  for (std::size_t at = 0; at < of.layers.size(); ++at) {
    const layer_view& layer = of.layers[at];
    append_field(out, mortise::concat("layer ", at + 1),
                 mortise::concat(text_of(layer.blob), layer.kept ? ", kept" : ""));
    if (layer.diff_id) append_field(out, "  diff ID", layer.diff_id->text());
    for (const auto& part : layer.unpacked) append_field(out, " ", text_of(part));
  }
  return out;
}

/// Location, manifest, configuration and layers, blobs and what they were unpacked to.
inline std::string tree_of(const image_view& of) {
  std::string out = mortise::concat(shown(of.of.record.location), " (", shown(of.of.record.platform), ")\n`- manifest ",
                                    text_of(of.of.record.manifest), '\n');
  mortise::append(out, of.layers.empty() ? "   `- " : "   |- ", "config ", text_of(of.manifest.config), '\n');
  for (std::size_t at = 0; at < of.layers.size(); ++at) {
    const layer_view& layer = of.layers[at];
    const bool last = at + 1 == of.layers.size();
    mortise::append(out, last ? "   `- " : "   |- ", "layer ", at + 1, ' ', text_of(layer.blob),
                    layer.kept ? ", kept" : "", '\n');
    for (const auto& part : layer.unpacked)
      mortise::append(out, last ? "      " : "   |  ", &part == &layer.unpacked.back() ? "`- " : "|- ", text_of(part),
                      '\n');
  }
  return out;
}

/// A line of a list of files: what `ls -l` would say, as far as a layer says it.
inline std::string line_of(const layer_file& of) {
  std::string mode = "0000";
  for (unsigned at = 0; at < 4; ++at) mode[3 - at] = static_cast<char>('0' + (of.mode >> (3 * at) & 7U));
  std::string out = mortise::concat(of.kind == "deleted" ? "----" : mode, ' ', of.uid, ':', of.gid, ' ');
  mortise::append(out, of.kind == "file" ? size_text(of.size) : std::string(of.kind));
  out.resize(std::max<std::size_t>(out.size() + 1, 28), ' ');
  mortise::append(out, shown(of.path), of.opaque ? " (hides what is below)" : "");
  if (of.kind == "link") mortise::append(out, " -> ", shown(of.target));
  return out + '\n';
}

}  // namespace mortise_image
