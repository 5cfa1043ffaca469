package com.example.parallelcomp;

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
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** The open backend: a root scope, and five families of operations that keep no state. */
final class ScalarBackend implements Backend {
  private final ScalarScope root = new ScalarScope("scalar", null);

  @Override
  public BackendInfo info() {
    // Java hands out as much native memory as its heap may have, unless it is told otherwise.
    long totalBytes = Runtime.getRuntime().maxMemory();
    long freeBytes = Math.max(0, totalBytes - root.allocatedBytes());
    return new BackendInfo("scalar", "plain Java", 1, totalBytes, freeBytes, Map.of());
  }

  @Override
  public boolean supports(OpCall call) {
    return switch (call.operation()) {
      case EMBED, LINEAR -> call.dtypes().stream().allMatch(Elements::isWeightType);
      case ATTEND, ATTENTION_MASS, CACHE -> call.dtypes().stream().allMatch(DType.F32::equals);
      case ROPE -> true;
    };
  }

  @Override
  public MemoryScope openScope(String name) {
    return root.child(name);
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    Elements.requireWeightType(dtype);
    region.requireHolds(dtype, shape);
    return ScalarScope.of(scope).map(region, dtype, shape);
  }

  @Override
  public HostTransfer host() {
    return new ScalarHostTransfer();
  }

  @Override
  public TensorOps tensorOps(MemoryScope results) {
    return new ScalarTensorOps(ScalarScope.of(results));
  }

  @Override
  public DecoderOps decoder() {
    return new ScalarDecoderOps();
  }

  @Override
  public AttentionOps attention() {
    return new ScalarAttentionOps();
  }

  @Override
  public CacheOps cache() {
    return new ScalarCacheOps();
  }

  @Override
  public void close() {
    root.close();
  }
}
