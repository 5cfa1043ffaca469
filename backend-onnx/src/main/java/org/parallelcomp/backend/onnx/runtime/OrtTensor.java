package org.parallelcomp.backend.onnx.runtime;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.backend.onnx.graph.ElementType;

/**
 * An argument of a run: memory that stays where it is.
 *
 * @param type the element type
 * @param data the first element; read by the runtime if an input, written if an output
 * @param dims the extents; the elements lie gapless and row-major
 */
public record OrtTensor(ElementType type, MemorySegment data, long... dims) {
  long bytes() {
    long elements = 1;
    for (long dim : dims) {
      elements *= dim;
    }
    return elements * type.bytes();
  }
}
