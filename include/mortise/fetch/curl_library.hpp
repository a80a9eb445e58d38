// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// libcurl's functions as a value, linked or loaded at first use. Needs: libcurl (7.87 or later).

#include <curl/curl.h>
#include <dlfcn.h>

#include <mortise/base/status.hpp>

namespace mortise::fetch {

/// The functions that fetch::curl calls. A program that has only loaded() needs no -lcurl when linking, and starts
/// without libcurl and the thirty libraries that it brings.
struct curl_library {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_version_info) version_info;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;

  /// Those that the program is linked with.
  static const curl_library& linked() {
    static const curl_library functions = [] {
      curl_library out{
          ::curl_global_init,   ::curl_version_info,     ::curl_easy_init,           ::curl_easy_cleanup,
          ::curl_easy_reset,    ::curl_easy_setopt,      ::curl_easy_strerror,       ::curl_multi_init,
          ::curl_multi_cleanup, ::curl_multi_add_handle, ::curl_multi_remove_handle, ::curl_multi_perform,
          ::curl_multi_poll,    ::curl_multi_info_read,  ::curl_slist_append,        ::curl_slist_free_all};
      out.global_init(CURL_GLOBAL_DEFAULT);
      return out;
    }();
    return functions;
  }

  /// Those of libcurl.so.4, which is opened at the first call and stays.
  /// Fails with UNIMPLEMENTED where there is none, or one too old; a later call does not look again.
  static absl::StatusOr<const curl_library*> loaded() {
    static const absl::StatusOr<const curl_library*> outcome = load();
    return outcome;
  }

 private:
  static absl::Status no_library(std::string_view cause) {
    return error(absl::StatusCode::kUnimplemented,
                 concat("load libcurl.so.4: ", printable(cause), " (install libcurl: Debian's package is libcurl4)"));
  }

  static absl::StatusOr<const curl_library*> load() {
    static curl_library out{};
    void* const library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return no_library(::dlerror());
    const char* missing = nullptr;
    const auto find = [library, &missing]<class Function>(Function& into, const char* name) {
      into = reinterpret_cast<Function>(::dlsym(library, name));
      if (into == nullptr) missing = name;
    };
    find(out.global_init, "curl_global_init");
    find(out.version_info, "curl_version_info");
    find(out.easy_init, "curl_easy_init");
    find(out.easy_cleanup, "curl_easy_cleanup");
    find(out.easy_reset, "curl_easy_reset");
    find(out.easy_setopt, "curl_easy_setopt");
    find(out.easy_strerror, "curl_easy_strerror");
    find(out.multi_init, "curl_multi_init");
    find(out.multi_cleanup, "curl_multi_cleanup");
    find(out.multi_add_handle, "curl_multi_add_handle");
    find(out.multi_remove_handle, "curl_multi_remove_handle");
    find(out.multi_perform, "curl_multi_perform");
    find(out.multi_poll, "curl_multi_poll");
    find(out.multi_info_read, "curl_multi_info_read");
    find(out.slist_append, "curl_slist_append");
    find(out.slist_free_all, "curl_slist_free_all");
    if (missing != nullptr) return no_library(concat("it has no ", missing));
    out.global_init(CURL_GLOBAL_DEFAULT);
    return &out;
  }
};

}  // namespace mortise::fetch
