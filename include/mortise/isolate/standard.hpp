// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What most containers want, as one name.

#include <mortise/isolate/capabilities.hpp>
#include <mortise/isolate/namespaces.hpp>
#include <mortise/isolate/standard_filesystems.hpp>

namespace mortise::isolate {

/// Every namespace but the user's, /proc, /sys and /dev, fourteen capabilities, and no way to get more.
using standard = pack<mount_namespace, pid_namespace, uts_namespace, ipc_namespace, network_namespace,
                      standard_filesystems, capabilities, no_new_privileges>;

/// The same for a caller without privileges: root in the container is the caller outside.
using standard_unprivileged = pack<user_namespace, standard>;

/// The same for a caller with privileges whose containers have none, and users of their own.
using standard_mapped = pack<mapped_user_namespace, standard>;

}  // namespace mortise::isolate
