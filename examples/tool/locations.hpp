// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What --help says of the locations that sources.hpp has sources for.

#include <string_view>

namespace tool {

inline constexpr std::string_view locations_help =
    R"(  oci:DIR[:TAG]               an OCI image layout
  oci:FILE.tar[:TAG]          the same in a tar archive
  docker-archive:FILE[:REF]   what `docker save` and `skopeo copy` write
  dir:DIR                     what `skopeo copy` writes there
  aci:FILE                    an Appc image
  appc:NAME[:VERSION]         one that is found by its name
  NAME[:TAG][@DIGEST]         what a registry has; docker://NAME is the same, docker.io's if it names no registry
)";

}  // namespace tool
