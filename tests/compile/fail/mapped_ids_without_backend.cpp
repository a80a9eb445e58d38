// SPDX-License-Identifier: Apache-2.0
// expect: isolate::mapped_user_namespace and a backend that maps ids, such as rootfs::mapped_overlay, need each other
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::overlay, isolate::standard_mapped>;
box::settings with;
