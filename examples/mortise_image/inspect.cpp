// SPDX-License-Identifier: Apache-2.0
// Part of mortise-image: inspect.
#include "command.hpp"
#include "image_view.hpp"
#include "inspect_json.hpp"
#include "inspect_text.hpp"
#include "layer_files.hpp"
#include "output.hpp"
#include "store.hpp"

namespace mortise_image {

using namespace mortise;

namespace {

/// Calls `each` for the files of a layer, as they lie in the first of its unpacked forms.
template <class Each>
absl::Status each_file_of(const tool::image_store& store, const layer_view& of, Each each) {
  for (const image::stored_part& part : of.unpacked) {
    if (layer_view::format_of(part).starts_with(model::erofs_layers::name)) continue;  // its files are nowhere
    return for_each_file(concat(store.path(), '/', part.name, "/tree"), each);
  }
  return error(absl::StatusCode::kNotFound,
               concat("list the files of layer ", of.blob.digest.brief(), ": it is not unpacked (pull unpacks it)"));
}

absl::StatusOr<std::vector<std::string>> files_as_json(const tool::image_store& store, const image_view& of) {
  std::vector<std::string> out;
  for (const layer_view& layer : of.layers) {
    std::vector<std::string> files;
    MORTISE_RETURN_IF_ERROR(
        each_file_of(store, layer, [&](const layer_file& file) { files.push_back(json_of(file)); }));
    out.push_back(concat('[', join(files, ","), ']'));
  }
  return out;
}

absl::Status print_files(const tool::image_store& store, const image_view& of) {
  for (std::size_t at = 0; at < of.layers.size(); ++at) {
    print(concat("layer ", at + 1, ' ', of.layers[at].blob.digest.text(), '\n'));
    MORTISE_RETURN_IF_ERROR(each_file_of(store, of.layers[at], [](const layer_file& file) { print(line_of(file)); }));
  }
  return absl::OkStatus();
}

absl::Status show(const session& of, const tool::image_store& store, const std::vector<image_view>& images) {
  std::vector<std::string> texts;
  for (const image_view& each : images) {
    if (of.what.json) {
      std::vector<std::string> files;
      if (of.what.files) {
        MORTISE_ASSIGN_OR_RETURN(files, files_as_json(store, each));
      }
      texts.push_back(json_of(each, files));
    } else if (of.what.files) {
      MORTISE_RETURN_IF_ERROR(print_files(store, each));
    } else {
      print(concat(&each == &images.front() ? "" : "\n", of.what.tree ? tree_of(each) : lines_of(each)));
    }
  }
  if (of.what.json) print(concat(R"({"images":[)", join(texts, ","), "]}\n"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> inspect(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(const tool::image_store store, open_store(of));
  const std::string& location = of.what.operands.front();
  const auto images = look_at(store, location, of.what.platform);
  const absl::Status status = images.ok() ? show(of, store, *images) : images.status();
  if (!status.ok()) return annotate(status, concat("inspect image '", printable(location), '\''));
  return done;
}

}  // namespace mortise_image
