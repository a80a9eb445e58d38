// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Stacks of layers that contradict themselves and each other, the same ones for the same number.

#include <archive/tar_builder.hpp>
#include <random>
#include <string>
#include <vector>

namespace support {

/// Layers of few names, so that they meet: made of whatever a tar can say, in whatever order.
class random_layers {
 public:
  explicit random_layers(unsigned seed) : random_(seed) {}

  std::vector<std::string> make() {
    std::vector<std::string> out;
    for (unsigned left = 1 + pick(4); left > 0; --left) {
      tar_builder tar;
      tar.directory("./", 0700 + pick(8));  // without, a store takes over what the root below has
      for (unsigned entries = pick(9); entries > 0; --entries) add(tar);
      out.push_back(tar.text());
    }
    return out;
  }

 private:
  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }

  std::string path() {
    std::string out;
    for (unsigned parts = 1 + pick(3); parts > 0; --parts)
      out += (out.empty() ? "" : "/") + std::string(1, static_cast<char>('a' + pick(4)));
    return out;
  }
  static std::string marked(const std::string& of) {
    const std::size_t at = of.rfind('/') + 1;
    return of.substr(0, at) + ".wh." + of.substr(at);
  }

  /// One after the other, so that every compiler takes the same numbers.
  void add(tar_builder& tar) {
    const unsigned what = pick(10);
    const std::string name = path();
    const std::string other = path();
    const unsigned number = pick(0100);
    if (what < 3) tar.add({.name = name, .data = "data " + std::to_string(number), .mode = 0600 + number});
    if (what == 3 || what == 4) tar.add({.name = name + '/', .type = '5', .mode = 0700 + number, .uid = number % 3});
    if (what == 5) tar.symlink(name, number % 2 == 0 ? other : "../" + other);
    if (what == 6) tar.hard_link(name, other);
    if (what == 7) tar.add({.name = name, .type = '6', .mode = 0600});
    if (what == 8) tar.file(marked(name));
    if (what == 9) tar.file(name + "/.wh..wh..opq");
  }

  std::mt19937 random_;
};

}  // namespace support
