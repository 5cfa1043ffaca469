package org.parallelcomp.conformance.reference;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.Map;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** The oracle: every operation, type and shape in plain loops and double precision. */
public final class ReferenceBackend implements Backend {
  private final ReferenceScope root = new ReferenceScope("reference", null);

  /** Opens the backend. */
  public ReferenceBackend() {}

  @Override
  public BackendInfo info() {
    Runtime runtime = Runtime.getRuntime();
    long usedBytes = runtime.totalMemory() - runtime.freeMemory();
    return new BackendInfo(
        "reference",
        "plain Java on one thread",
        1,
        runtime.maxMemory(),
        runtime.maxMemory() - usedBytes,
        Map.of());
  }

  @Override
  public boolean supports(OpCall call) {
    return switch (call.operation()) {
      case EMBED, LINEAR -> call.dtypes().stream().noneMatch(dtype -> dtype == DType.I32);
      case ROPE -> true;
      case CACHE -> call.dtypes().stream().allMatch(Require::isCacheType);
      case ATTEND, ATTENTION_MASS ->
          call.dtypes().stream().allMatch(Require::isCacheType)
              && call.shapes().stream().allMatch(heads -> heads.dim(0) % heads.dim(1) == 0);
    };
  }

  @Override
  public MemoryScope openScope(String name) {
    return root.child(name);
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    region.requireHolds(dtype, shape);
    double[] elements = Decoding.decode(dtype, read(region));
    return ReferenceScope.of(scope).tensor(dtype, shape, elements, true);
  }

  private static ByteBuffer read(FileRegion region) {
    try (FileChannel file = FileChannel.open(region.file())) {
      ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(region.sizeBytes()));
      while (bytes.hasRemaining()
          && file.read(bytes, region.offsetBytes() + bytes.position()) >= 0) {}
      return bytes.flip().order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "The file " + region.file() + " cannot be read.", e);
    }
  }

  @Override
  public HostTransfer host() {
    return new ReferenceHostTransfer();
  }

  @Override
  public TensorOps tensorOps(MemoryScope results) {
    return new ReferenceTensorOps(ReferenceScope.of(results));
  }

  @Override
  public DecoderOps decoder() {
    return new ReferenceDecoderOps();
  }

  @Override
  public AttentionOps attention() {
    return new ReferenceAttentionOps();
  }

  @Override
  public CacheOps cache() {
    return new ReferenceCacheOps();
  }

  @Override
  public void close() {
    root.close();
  }
}
