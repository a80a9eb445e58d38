// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's observer: a line on standard error for each step of a container's life, and on a terminal
/// bars while layers are unpacked. Standard output is the container's alone.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mortise/base/units.hpp>
#include <mortise/observer.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise_run {

class progress_view {
 public:
  enum class style : unsigned char { quiet, lines, bars };

  /// How this process should speak: bars where standard error is a terminal that can move its cursor.
  static style style_for(bool quiet) {
    if (quiet) return style::quiet;
    const char* const terminal = std::getenv("TERM");
    const bool moves = terminal != nullptr && std::string_view(terminal) != "dumb";
    return moves && ::isatty(STDERR_FILENO) == 1 ? style::bars : style::lines;
  }

  /// What the steps have to tell beside their time is known to the composition.
  void describe(style how, std::string image, std::string root, std::string isolation) {
    style_ = how;
    image_ = std::move(image);
    root_ = std::move(root);
    isolation_ = std::move(isolation);
  }

  void begin(const mortise::container_id& /*id*/, mortise::step /*which*/) { began_ = clock::now(); }

  void end(const mortise::container_id& id, mortise::step which, const absl::Status& status) {
    if (style_ == style::quiet) return;
    std::string text = erased();
    if (status.ok()) append_line(text, concat(name_of(which), ": ", story(id, which), ", ", elapsed()));
    write(text);
  }

  void progress(const mortise::container_id& /*id*/, const mortise::image::progress& how) {
    if (style_ == style::quiet) return;
    layers_ = how.layers;
    const bool is_ready = how.now == mortise::image::progress::stage::ready;
    const bool is_new = !is_ready && !active_.contains(how.layer);
    if (is_ready) {
      finish(how);
    } else {
      active_[how.layer] = how;
    }
    if (style_ == style::bars && (is_new || is_ready || clock::now() - drawn_at_ > between_frames)) draw();
  }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds between_frames{50};

  template <class... Pieces>
  static std::string concat(const Pieces&... pieces) {
    return mortise::concat(pieces...);
  }

  static void append_line(std::string& out, std::string_view text) {
    mortise::append(out, "mortise-run: ", text, '\n');
  }

  [[nodiscard]] std::string story(const mortise::container_id& id, mortise::step which) const {
    switch (which) {
      case mortise::step::fetch:
        return concat(image_, ", ", ready_, ready_ == 1 ? " layer" : " layers", ", ",
                      unpacked_ == 0 ? "there already"
                                     : concat(ready_ - unpacked_, " there already, ",
                                              mortise::to_text(mortise::bytes{read_}), " verified and unpacked"));
      case mortise::step::provision:
        return concat(root_, " root");
      case mortise::step::prepare:
        return isolation_;
      case mortise::step::spawn:
        return concat("container ", id.text(), " runs");
      case mortise::step::destroy:
        return "nothing is left";
    }
    return {};
  }

  [[nodiscard]] std::string elapsed() const {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began_).count();
    return took < 1000000 ? concat(took / 1000, '.', took / 100 % 10, " ms")
                          : concat(took / 1000000, '.', took / 100000 % 10, " s");
  }

  void finish(const mortise::image::progress& how) {
    active_.erase(how.layer);
    ++ready_;
    if (how.cached) return;
    ++unpacked_;
    read_ += how.total;
    if (style_ != style::lines) return;
    std::string text;
    append_line(text, concat("layer ", how.layer + 1, " of ", how.layers, ": ",
                             mortise::to_text(mortise::bytes{how.total}), " unpacked"));
    write(text);
  }

  /// A bar for each layer that is being unpacked, and one for the image.
  void draw() {
    std::string text = erased();
    for (const auto& [layer, how] : active_) {
      const bool waits = how.now == mortise::image::progress::stage::waiting;
      const std::string right = waits ? std::string("another process unpacks it")
                                      : concat(mortise::to_text(mortise::bytes{how.done}), " of ",
                                               mortise::to_text(mortise::bytes{how.total}));
      append_bar(text, concat("layer ", layer + 1), how.done, how.total, right);
    }
    append_bar(text, "image", ready_, layers_, concat(ready_, " of ", layers_, " layers"));
    drawn_ = active_.size() + 1;
    drawn_at_ = clock::now();
    write(text);
  }

  /// Never wider than the terminal: a line that wraps could not be erased.
  static void append_bar(std::string& out, std::string left, std::uint64_t done, std::uint64_t total,
                         std::string_view right) {
    winsize terminal{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &terminal) == 0 && terminal.ws_col > 0;
    const std::size_t columns = known ? terminal.ws_col : 80;
    left.resize(10, ' ');
    std::string line = left;
    const std::size_t others = left.size() + right.size() + 4;
    if (columns > others + 8) {
      const std::size_t width = std::min<std::size_t>(columns - others, 40);
      const std::size_t filled = total == 0 ? 0 : static_cast<std::size_t>(std::min(done, total) * width / total);
      mortise::append(line, '[', std::string(filled, '='), std::string(width - filled, ' '), "] ");
    }
    line += right;
    mortise::append(out, line.substr(0, columns - 1), '\n');
  }

  /// Moves the cursor up to the first bar and clears from there.
  std::string erased() {
    return drawn_ == 0 ? std::string() : concat("\x1b[", std::exchange(drawn_, std::size_t{0}), "A\x1b[J");
  }

  /// In one piece, so that the container's own errors do not come between. A closed standard error is no failure.
  static void write(const std::string& text) {
    if (!text.empty() && ::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
  }

  style style_ = style::quiet;
  std::string image_;
  std::string root_;
  std::string isolation_;
  clock::time_point began_;
  clock::time_point drawn_at_;
  std::size_t drawn_ = 0;  ///< lines of bars on the terminal
  std::size_t layers_ = 0;
  std::size_t ready_ = 0;
  std::size_t unpacked_ = 0;
  std::uint64_t read_ = 0;
  std::map<std::size_t, mortise::image::progress> active_;
};

static_assert(mortise::observer<progress_view>);

}  // namespace mortise_run
