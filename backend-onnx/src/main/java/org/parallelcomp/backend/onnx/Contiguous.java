package org.parallelcomp.backend.onnx;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/**
 * The tensors of one call as the runtime wants them, without gaps: as they are, or, if they are
 * views with gaps, copied before and behind the run.
 */
final class Contiguous implements AutoCloseable {
  private final Sessions sessions;
  private final HostMemory memory;
  private Arena arena;

  Contiguous(Sessions sessions) {
    this.sessions = sessions;
    this.memory = sessions.memory();
  }

  /** Returns the tensor itself, or a copy of a view with gaps. */
  HostTensor input(Tensor tensor) {
    HostTensor onnx = memory.tensor(tensor);
    if (onnx.layout().isContiguous()) {
      return onnx;
    }
    HostTensor copy = like(onnx);
    copy(onnx, copy);
    return copy;
  }

  /** Returns the tensor itself, or, for a view with gaps, memory of that size. */
  HostTensor output(Tensor tensor) {
    HostTensor onnx = memory.tensor(tensor);
    return onnx.layout().isContiguous() ? onnx : like(onnx);
  }

  /** Writes an output back if it is not the tensor itself. */
  void finish(Tensor tensor, HostTensor output) {
    HostTensor target = memory.tensor(tensor);
    if (output.storage() != target.storage()) {
      copy(output, target);
    }
  }

  /** Returns memory for the time of the call. */
  MemorySegment memory(long bytes) {
    if (arena == null) {
      arena = Arena.ofConfined();
    }
    return arena.allocate(Math.max(1, bytes), 64);
  }

  private HostTensor like(HostTensor tensor) {
    DType dtype = tensor.dtype();
    MemorySegment storage = memory(dtype.bytes(tensor.shape().elements()));
    return new HostTensor(tensor.owner(), storage, dtype, Layout.contiguous(tensor.shape()));
  }

  private void copy(HostTensor from, HostTensor to) {
    Rows in = memory.any(from);
    Rows out = memory.any(to);
    int[] row = new int[in.length()];
    for (long i = 0; i < in.count(); i++) {
      in.read(i, row, 0);
      out.write(i, row, 0);
    }
    sessions.countCopy(in.count() * in.length() * Integer.BYTES);
  }

  @Override
  public void close() {
    if (arena != null) {
      arena.close();
    }
  }
}
