package org.parallelcomp.backend.onnx.runtime;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How sessions are made.
 *
 * @param provider the execution provider, in lower case
 * @param providerOptions what only the provider knows
 * @param optimization the level of graph optimisations: none, basic, extended or all
 * @param profile prefix of the files in which each session writes a profile, or null for none
 */
public record OrtSettings(
    String provider,
    Map<String, String> providerOptions,
    String optimization,
    @Nullable String profile) {}
