// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The doctest reporter of every suite: one line a case, failures with their place, and counts at the end.
/// Where $MORTISE_TEST_RESULTS names a file, the same goes there for tests/run, a tab-separated record a line.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <support/skip.hpp>

namespace support {

/// Appends records to the results file, if there is one: "begin NAME", "passed NAME MILLISECONDS", ...
class results_file {
 public:
  results_file() {
    if (const char* const path = std::getenv("MORTISE_TEST_RESULTS"))
      fd_ = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  }
  results_file(const results_file&) = delete;
  results_file& operator=(const results_file&) = delete;
  ~results_file() {
    if (fd_ >= 0) ::close(fd_);
  }

  /// One write a record, so that what a crashing case wrote before it is whole.
  void put(std::string_view verdict, std::string_view name, std::string_view detail) const {
    if (fd_ < 0) return;
    std::string line(verdict);
    for (const std::string_view field : {name, detail}) {
      line += '\t';
      for (const char each : field) line += each == '\t' || each == '\n' ? ' ' : each;
    }
    line += '\n';
    if (::write(fd_, line.data(), line.size()) < 0) std::abort();
  }

 private:
  int fd_ = -1;
};

class reporter : public doctest::IReporter {
 public:
  explicit reporter(const doctest::ContextOptions& options) : out_(*options.cout), options_(options) {}

  void report_query(const doctest::QueryData& query) override {
    for (unsigned at = 0; at < query.num_data; ++at) out_ << query.data[at]->m_name << '\n';
  }
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {
    if (options_.count || options_.list_test_cases) return;
    out_ << passed_ << " passed, " << failed_ << " failed, " << skipped_ << " skipped" << std::endl;
    results_.put("end", "", "");
  }

  void test_case_start(const doctest::TestCaseData& test) override {
    test_ = &test;
    skip_reason().clear();
    started_ = std::chrono::steady_clock::now();
    results_.put("begin", name(), "");
  }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_);
    if (!stats.testCaseSuccess) {
      ++failed_;
      finish("failed", std::string(test_->m_file.c_str()) + ':' + std::to_string(test_->m_line));
    } else if (!skip_reason().empty()) {
      ++skipped_;
      finish("skipped", skip_reason());
    } else {
      ++passed_;
      finish("passed", std::to_string(took.count()) + " ms");
    }
  }
  void test_case_skipped(const doctest::TestCaseData&) override {}

  void test_case_exception(const doctest::TestCaseException& problem) override {
    const std::scoped_lock lock(mutex_);
    out_ << test_->m_file << ':' << test_->m_line << ": " << (problem.is_crash ? "crashed: " : "threw: ")
         << problem.error_string << std::endl;
  }
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}

  void log_assert(const doctest::AssertData& check) override {
    if (!check.m_failed) return;
    const std::scoped_lock lock(mutex_);
    out_ << check.m_file << ':' << check.m_line << ": " << doctest::assertString(check.m_at) << "( " << check.m_expr
         << " ) is false";
    if (check.m_threw) {
      out_ << ": threw " << check.m_exception;
    } else if ((check.m_at & doctest::assertType::is_throws) == 0) {
      out_ << ": " << check.m_decomp;
    }
    out_ << '\n';
    put_contexts();
  }
  void log_message(const doctest::MessageData& said) override {
    const std::scoped_lock lock(mutex_);
    out_ << said.m_file << ':' << said.m_line << ": " << said.m_string << '\n';
    put_contexts();
  }

 private:
  [[nodiscard]] const char* name() const { return test_->m_name; }

  void finish(std::string_view verdict, const std::string& detail) {
    out_ << verdict << ' ' << name() << " (" << detail << ')' << std::endl;
    results_.put(verdict, name(), detail);
  }

  void put_contexts() {
    const int active = get_num_active_contexts();
    for (int at = 0; at < active; ++at) {
      out_ << "  with ";
      get_active_contexts()[at]->stringify(&out_);
      out_ << '\n';
    }
    out_ << std::flush;
  }

  std::ostream& out_;
  const doctest::ContextOptions& options_;
  results_file results_;
  const doctest::TestCaseData* test_ = nullptr;
  std::chrono::steady_clock::time_point started_;
  std::mutex mutex_;
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
};

}  // namespace support
