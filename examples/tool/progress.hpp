// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How far things are, on standard error: lines, or on a terminal bars that take no room once they are done.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mortise/base/text.hpp>
#include <mortise/base/units.hpp>
#include <mortise/image/store_concept.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace tool {

enum class style : unsigned char { quiet, lines, bars };

/// How this process should speak: bars where standard error is a terminal that can move its cursor.
inline style style_for(bool quiet) {
  if (quiet) return style::quiet;
  const char* const terminal = std::getenv("TERM");
  const bool moves = terminal != nullptr && std::string_view(terminal) != "dumb";
  return moves && ::isatty(STDERR_FILENO) == 1 ? style::bars : style::lines;
}

/// Bars below the text that was said so far: each frame takes the place of the one before.
class bars {
 public:
  /// Of a bar, the part that is done, and that which is on its way.
  struct amount {
    std::uint64_t done = 0;
    std::uint64_t coming = 0;  ///< counted from the beginning too
    std::uint64_t total = 0;
  };

  /// Whether it is time for another frame.
  [[nodiscard]] bool is_due() const { return clock::now() - drawn_at_ > std::chrono::milliseconds(50); }

  /// Adds to the next frame. Never wider than the terminal: a line that wraps could not be erased.
  void add(std::string left, const amount& how, std::string_view right) {
    winsize terminal{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &terminal) == 0 && terminal.ws_col > 0;
    const std::size_t columns = known ? terminal.ws_col : 80;
    left.resize(10, ' ');
    std::string line = left;
    const std::size_t others = left.size() + right.size() + 4;
    if (columns > others + 8) {
      const std::size_t width = std::min<std::size_t>(columns - others, 40);
      const std::size_t filled = part(how.done, how.total, width);
      const std::size_t coming = std::max(part(how.coming, how.total, width), filled);
      mortise::append(line, '[', std::string(filled, '='), std::string(coming - filled, '-'),
                      std::string(width - coming, ' '), "] ");
    }
    line += right;
    mortise::append(frame_, line.substr(0, columns - 1), '\n');
    ++lines_;
  }

  void draw() {
    std::string text = erased();
    text += std::exchange(frame_, {});
    drawn_ = std::exchange(lines_, std::size_t{0});
    drawn_at_ = clock::now();
    write(text);
  }

  /// Says something in their place.
  void say(std::string_view text) { write(mortise::concat(erased(), text)); }

 private:
  using clock = std::chrono::steady_clock;

  static std::size_t part(std::uint64_t of, std::uint64_t total, std::size_t width) {
    return total == 0 ? 0 : static_cast<std::size_t>(std::min(of, total) * width / total);
  }

  /// Moves the cursor up to the first bar and clears from there.
  std::string erased() {
    return drawn_ == 0 ? std::string() : mortise::concat("\x1b[", std::exchange(drawn_, std::size_t{0}), "A\x1b[J");
  }

  /// In one piece, so that a container's own errors do not come between. A closed standard error is no failure.
  static void write(const std::string& text) {
    if (!text.empty() && ::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
  }

  clock::time_point drawn_at_;
  std::string frame_;
  std::size_t lines_ = 0;
  std::size_t drawn_ = 0;  ///< lines of bars on the terminal
};

/// What happens to the layers of one image that is provided.
class layer_progress {
 public:
  /// Lines begin with the program's name.
  layer_progress(style how, std::string program) : style_(how), program_(std::move(program)) {}

  void operator()(const mortise::image::progress& how) {
    layers_ = how.layers;
    using stage = mortise::image::progress::stage;
    if (ready_.contains(how.layer)) return;  // news of its fetch that came late
    const bool is_new = how.now != stage::ready && !active_.contains(how.layer);
    if (how.now == stage::ready) {
      finish(how);
    } else if (how.now == stage::fetching) {
      active_[how.layer].fetched = how.done;
      active_[how.layer].total = how.total;
    } else {
      activity& layer = active_[how.layer];
      layer = {layer.fetched, how.done, how.total, how.now == stage::waiting};
    }
    if (style_ == style::bars && (is_new || how.now == stage::ready || bars_.is_due())) draw();
  }

  void say_line(std::string_view text) {
    if (style_ != style::quiet) bars_.say(mortise::concat(program_, ": ", text, '\n'));
  }
  void clear() { bars_.say(""); }

  /// "3 layers, 1 there already, 2.1 MB verified and stored"
  [[nodiscard]] std::string story() const {
    const std::string work = mortise::concat(ready_.size() - unpacked_, " there already, ",
                                             mortise::to_text(mortise::bytes{read_}), " verified and stored");
    return mortise::concat(ready_.size(), ready_.size() == 1 ? " layer" : " layers", ", ",
                           unpacked_ == 0 ? "there already" : work);
  }

 private:
  struct activity {
    std::uint64_t fetched = 0;
    std::uint64_t unpacked = 0;
    std::uint64_t total = 0;
    bool waits = false;
  };

  void finish(const mortise::image::progress& how) {
    active_.erase(how.layer);
    ready_.insert(how.layer);
    if (how.cached) return;
    ++unpacked_;
    read_ += how.total;
    if (style_ == style::lines)
      say_line(mortise::concat("layer ", how.layer + 1, " of ", how.layers, ": ",
                               mortise::to_text(mortise::bytes{how.total}), " stored"));
  }

  static std::string describe(const activity& of) {
    const bool only_fetched = of.unpacked == 0 && of.fetched > 0;
    if (of.waits && !only_fetched) return "another process stores it";
    return mortise::concat(mortise::to_text(mortise::bytes{only_fetched ? of.fetched : of.unpacked}), " of ",
                           mortise::to_text(mortise::bytes{of.total}), only_fetched ? " fetched" : "");
  }

  /// A bar for each layer that is worked on, and one for the image.
  void draw() {
    for (const auto& [layer, each] : active_)
      bars_.add(mortise::concat("layer ", layer + 1), {each.unpacked, each.fetched, each.total}, describe(each));
    bars_.add("image", {ready_.size(), 0, layers_}, mortise::concat(ready_.size(), " of ", layers_, " layers"));
    bars_.draw();
  }

  style style_;
  std::string program_;
  bars bars_;
  std::map<std::size_t, activity> active_;
  std::set<std::size_t> ready_;
  std::size_t layers_ = 0;
  std::size_t unpacked_ = 0;
  std::uint64_t read_ = 0;
};

/// "12.3 ms", "4.5 s"
inline std::string elapsed_since(std::chrono::steady_clock::time_point began) {
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count();
  return took < 1000000 ? mortise::concat(took / 1000, '.', took / 100 % 10, " ms")
                        : mortise::concat(took / 1000000, '.', took / 100000 % 10, " s");
}

}  // namespace tool
