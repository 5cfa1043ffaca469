package org.parallelcomp.engine.generate;

import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.engine.model.Decoder;

/**
 * What a request has of one device.
 *
 * @param backend computes
 * @param scope owner of everything there that lives as long as the request
 * @param decoder the model
 */
record Session(Backend backend, MemoryScope scope, Decoder decoder) implements AutoCloseable {
  @Override
  public void close() {
    decoder.close();
    scope.close();
  }
}
