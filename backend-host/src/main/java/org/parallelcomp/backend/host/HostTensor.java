package org.parallelcomp.backend.host;

import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A tensor in memory that the processor reaches.
 *
 * @param owner the scope that frees the storage
 * @param storage the bytes; the layout's element 0 is the first
 * @param dtype the element type
 * @param layout where the elements lie in the storage
 */
public record HostTensor(HostMemoryScope owner, MemorySegment storage, DType dtype, Layout layout)
    implements Tensor {
  @Override
  public HostTensor slice(int axis, long from, long to) {
    return new HostTensor(owner, storage, dtype, layout.slice(axis, from, to));
  }

  @Override
  public HostTensor reshape(Shape shape) {
    return new HostTensor(owner, storage, dtype, layout.reshape(shape));
  }

  /** Returns the byte in the storage at which the tensor starts. */
  public long startByte() {
    return dtype.bytes(layout.offset());
  }

  /** Returns the bytes between neighbours along an axis. */
  public long strideBytes(int axis) {
    return dtype.bytes(layout.stride(axis));
  }

  /** Returns the bytes from the tensor's start on. */
  public MemorySegment data() {
    return storage.asSlice(startByte());
  }
}
