// SPDX-License-Identifier: Apache-2.0
// expect: a user namespace cannot read layers with privileged attributes: name the backend's unprivileged form, such as
// rootfs::unprivileged_overlay
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::overlay, isolate::standard_unprivileged>;
box::settings with;
