// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::overlay, isolate::mount_namespace, isolate::pid_namespace>;
box::settings with;
