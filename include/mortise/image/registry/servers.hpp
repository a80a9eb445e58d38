// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The servers of one repository, asked in order until one answers well: a mirror that fails or lies costs a question
/// and never the pull. Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/fetch/call.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/options.hpp>
#include <mortise/image/registry/session.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// One server, and how it has done so far. Used by several threads at once.
template <class Http>
class server {
 public:
  server(std::shared_ptr<context<Http>> shared, endpoint at, std::size_t number)
      : shared_(shared), login_(std::move(shared), std::move(at)), index(number) {}

  [[nodiscard]] const endpoint& at() const { return login_.at(); }
  [[nodiscard]] bool has_answered() const { return answered_; }

  /// A call to `to`, which is on this server.
  [[nodiscard]] absl::StatusOr<fetch::call> call_to(const url& to, const header_fields& headers) const {
    return detail::call_to(shared_->options, to, headers);
  }

  /// Runs a call with this server's credentials. Refusals come back as answers.
  absl::StatusOr<fetch::answer> run(fetch::call& call, fetch::sink& into) {
    const std::atomic<bool>* const heeded = cancelled;
    if (heeded != nullptr && call.cancelled == shared_->options.cancelled) call.cancelled = heeded;
    session_guard<Http> guard(login_, call.to, call.cancelled);
    call.who = &guard;
    // Where another server stands in for one that is not there, waiting for it is a waste.
    if (has_stand_in && !answered_) call.retry.tries = 1;
    auto said = shared_->http.run(call, into);
    if (!said.ok()) return said;
    answered_ = true;
    shared_->heard.hear(at().base.authority(), said->about.headers);
    return said;
  }

 private:
  std::shared_ptr<context<Http>> shared_;
  session<Http> login_;
  std::atomic<bool> answered_ = false;

 public:
  const std::size_t index;
  std::atomic<const std::atomic<bool>*> cancelled = nullptr;  ///< of calls without a flag of their own
  bool has_stand_in = false;                                  ///< the next one is for when this is unreachable
  std::atomic<bool> unreachable = false;
  std::atomic<bool> passed_over = false;  ///< it failed, and there are others
};

template <class Http>
class servers {
 public:
  servers(const std::shared_ptr<context<Http>>& shared, std::vector<endpoint> at) {
    for (endpoint& each : at) all_.push_back(std::make_unique<server<Http>>(shared, std::move(each), all_.size()));
    for (std::size_t each = 0; each + 1 < all_.size(); ++each)
      all_[each]->has_stand_in = all_[each + 1]->at().only_if_unreachable;
  }

  /// The flag of calls without one of their own.
  void heed(const std::atomic<bool>* cancelled) {
    for (const auto& each : all_) each->cancelled = cancelled;
  }

  /// The one asked last: the registry itself, unless only mirrors are asked.
  [[nodiscard]] const endpoint& last() const { return all_.back()->at(); }

  /// Leaves some servers alone from now on. True if others are left.
  bool distrust(const std::set<std::size_t>& which) {
    for (const std::size_t each : which) all_[each]->passed_over = true;
    return !which.empty() && !which.contains(all_.size() - 1);
  }

  /// Calls `ask(server)`, of those for which `may_ask(server)`, until it returns a success. `is_final()` after a
  /// failure says that no other server can help. Fails as the last one asked did; what those before it said is told
  /// too.
  template <class Ask, class MayAsk, class IsFinal>
  std::invoke_result_t<Ask&, server<Http>&> ask(Ask ask, MayAsk may_ask, IsFinal is_final) {
    std::vector<server<Http>*> left;
    for (const auto& each : all_)
      if (may_ask(*each)) left.push_back(each.get());
    absl::Status last = error(absl::StatusCode::kNotFound, "there is no server to ask");
    std::vector<std::string> before;
    std::size_t told = all_.size();  // whose word is the last of these
    for (server<Http>* const each : left) {
      if (!is_worth_asking(*each, each == left.back())) continue;
      auto out = ask(*each);
      if (out.ok()) return out;
      last = mortise::detail::take_status(std::move(out));
      if (absl::IsCancelled(last) || is_final()) return last;
      note_failure(*each, last);
      // Once it has answered itself, nobody cares why the one that it stands in for could not be reached.
      if (each->at().only_if_unreachable && each->has_answered() && told + 1 == each->index) before.pop_back();
      before.emplace_back(message(last));
      told = each->index;
    }
    if (before.size() < 2) return last;
    before.pop_back();
    return reword(last, concat(message(last), " (and before that: ", join(before, "; "), ')'));
  }

 private:
  /// A server that failed is left alone for the rest of the pull where there are others; one that stands in for another
  /// is asked only if that cannot be reached.
  [[nodiscard]] bool is_worth_asking(const server<Http>& one, bool is_last) const {
    if (one.at().only_if_unreachable && !all_[one.index - 1]->unreachable) return false;
    if (one.has_stand_in && one.unreachable) return false;
    return is_last || !one.passed_over;
  }

  static void note_failure(server<Http>& one, const absl::Status& why) {
    if (absl::IsNotFound(why)) return;
    if (one.has_stand_in && absl::IsUnavailable(why) && !one.has_answered()) one.unreachable = true;
    if (one.at().is_mirror) one.passed_over = true;
  }

  std::vector<std::unique_ptr<server<Http>>> all_;
};

}  // namespace mortise::image::distribution
