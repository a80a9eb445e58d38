// SPDX-License-Identifier: Apache-2.0
// Pulls an image into a new store, for benchmarks/run pull, which times the whole process.
//
//   pull [--jobs N] LOCATION DIRECTORY    as "docker://127.0.0.1:5000/name:tag"; the store is made in DIRECTORY

#include <cstdio>
#include <cstdlib>
#include <mortise/image/registry.hpp>
#include <mortise/image/store.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/layer.hpp>
#include <string>
#include <string_view>

int main(int count, char** words) {
  mortise::image::provide_options options;
  if (count == 5 && std::string_view(words[1]) == "--jobs") {
    options.jobs = static_cast<unsigned>(std::strtoul(words[2], nullptr, 10));
  } else if (count != 3) {
    (void)std::fprintf(stderr, "usage: pull [--jobs N] LOCATION DIRECTORY\n");
    return 2;
  }
  const auto complain = [](const absl::Status& why) {
    (void)std::fprintf(stderr, "pull: %s\n", std::string(why.message()).c_str());
    return 1;
  };
  auto store = mortise::image::store<mortise::image::registry>::open(words[count - 1]);
  if (!store.ok()) return complain(store.status());
  const auto image = store->provide<mortise::model::overlay_layers>(words[count - 2], options);
  if (!image.ok()) return complain(image.status());
  std::printf("%zu layers\n", image->layers.size());
  return 0;
}
