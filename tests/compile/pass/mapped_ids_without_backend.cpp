// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/mapped_overlay.hpp>

using namespace mortise;
using box = container<image::directory, rootfs::mapped_overlay, isolate::standard_mapped>;
box::settings with;
