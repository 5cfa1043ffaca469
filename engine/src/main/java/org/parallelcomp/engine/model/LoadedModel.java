package org.parallelcomp.engine.model;

import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.load.ModelSource;

/**
 * A model on one device.
 *
 * @param backend computes
 * @param scope owner of the model's memory; requests open scopes below it
 * @param weights the weights
 * @param windowRope rotations for every position of the trained window
 */
public record LoadedModel(
    Backend backend, MemoryScope scope, DecoderWeights weights, Rope windowRope) {

  /**
   * Loads a model, if the device has room for it.
   *
   * @param scope owner of what is mapped or uploaded
   * @throws InferenceException OUT_OF_MEMORY before anything is loaded, or as {@link
   *     DecoderWeights#load}
   */
  public static LoadedModel load(Backend backend, MemoryScope scope, ModelSource source) {
    requireFits(backend, source);
    return new LoadedModel(
        backend,
        scope,
        DecoderWeights.load(backend, scope, source),
        RopeTable.create(backend, scope, source.config().rope(), source.config().trainedWindow()));
  }

  private static void requireFits(Backend backend, ModelSource source) {
    long weightBytes = backend.traits().copiesWeights() ? source.weightBytes() : 0;
    long ropeBytes = RopeTable.bytes(source.config().rope(), source.config().trainedWindow());
    BackendInfo info = backend.info();
    if (weightBytes + ropeBytes > info.freeBytes()) {
      throw new InferenceException(
          ErrorCode.OUT_OF_MEMORY,
          "The model needs "
              + (weightBytes + ropeBytes)
              + " bytes (weights "
              + weightBytes
              + ", rotary table "
              + ropeBytes
              + "), but "
              + info.freeBytes()
              + " of "
              + info.totalBytes()
              + " are free on "
              + info.device()
              + "; take a smaller or more strongly quantised model, or another device.");
    }
  }
}
