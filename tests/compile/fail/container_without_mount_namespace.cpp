// SPDX-License-Identifier: Apache-2.0
// expect: a container enters a root of its own, so it needs isolate::mount_namespace
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::overlay, isolate::pid_namespace>;
box::settings with;
