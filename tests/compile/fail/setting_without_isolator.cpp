// SPDX-License-Identifier: Apache-2.0
// expect: a setting was given for the isolator named above, which this container does not have; add it to the
// container's type expect: this_container<mortise::isolate::rlimits>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::overlay, isolate::standard>;
box::settings with{isolate::rlimits::set(RLIMIT_CORE, 0, 0)};
