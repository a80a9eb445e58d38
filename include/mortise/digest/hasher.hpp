// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What verification asks of a hash: the concept that digest::openssl models.

#include <concepts>
#include <cstddef>
#include <mortise/model/digest.hpp>
#include <span>

namespace mortise::digest {

/// A running hash, made for one algorithm. Any number of `update` calls, then one `finish`, after which the
/// object may only be destroyed or assigned to. Two objects share nothing, so that each thread may have its own.
template <class Type>
concept hasher = std::constructible_from<Type, model::digest_algorithm> && std::movable<Type> &&
                 requires(Type hash, std::span<const std::byte> bytes) {
                   { hash.update(bytes) } -> std::same_as<void>;
                   { hash.finish() } -> std::same_as<model::digest>;
                 };

}  // namespace mortise::digest
