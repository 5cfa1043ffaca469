package org.parallelcomp.conformance.faults;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** Faults of providers, scopes, files and transfers. */
final class MemoryFaults {
  static final List<Fault> FAULTS =
      List.of(
          new Fault("has an id in capitals", "B101", Breaking.provider("id", call -> "REFERENCE")),
          new Fault(
              "ignores options that it does not know",
              "B102",
              Breaking.provider("open", call -> new ReferenceBackend())),
          new Fault(
              "fails when it is closed twice",
              "B103",
              Breaking.method(Backend.class, "close", MemoryFaults::closeOnce)),
          new Fault("gives out memory as it was left", "B104", Breaking.scopes(DirtyScope::new)),
          new Fault("does not free what is closed", "B105", Breaking.scopes(HoardingScope::new)),
          new Fault(
              "leaves the children of a closed scope open",
              "B106",
              Breaking.scopes(ChildrenOutliveScope::new)),
          new Fault(
              "fails when a scope is closed twice", "B106", Breaking.scopes(CloseOnceScope::new)),
          new Fault(
              "copies views as if they had no gaps",
              "B108",
              Breaking.method(HostTransfer.class, "copyToHostFloats", MemoryFaults::gapless)),
          new Fault(
              "loses the sign of zero in a copy",
              "B109",
              Breaking.method(
                  HostTransfer.class,
                  "copyToHostFloats",
                  call -> plusZero((float[]) call.honestly()))),
          new Fault(
              "reads weights from the start of their file",
              "B110",
              Breaking.method(
                  Backend.class,
                  "load",
                  call -> {
                    FileRegion region = call.get(1, FileRegion.class);
                    return call.with(1, new FileRegion(region.file(), 0, region.sizeBytes()));
                  })),
          new Fault(
              "takes what a file lacks as zeros",
              "B111",
              Breaking.method(Backend.class, "load", MemoryFaults::zerosForMissing)),
          new Fault(
              "lets tensors be used after their scope was closed",
              "B112",
              Breaking.scopes(LingeringScope::new)),
          new Fault(
              "goes on after it was closed",
              "B113",
              Breaking.method(Backend.class, "close", call -> null)),
          new Fault(
              "ends an allocation that is too large with a bare error",
              "B114",
              Breaking.scopes(BareErrorScope::new)),
          new Fault(
              "counts what it could not allocate", "B114", Breaking.scopes(OvercountScope::new)),
          new Fault(
              "calls a damaged file a fault of its own",
              "B115",
              Breaking.method(Backend.class, "load", MemoryFaults::wrongCode)),
          new Fault(
              "lets loaded weights be overwritten",
              "B116",
              Breaking.method(Backend.class, "load", MemoryFaults::writableCopy)),
          new Fault(
              "cuts a copy that is too long",
              "B119",
              Breaking.method(HostTransfer.class, "copyFromHost", MemoryFaults::cut)),
          new Fault(
              "tells more free memory than there is",
              "B120",
              Breaking.method(Backend.class, "info", MemoryFaults::boast)),
          new Fault(
              "claims to support every type and then refuses",
              "B121",
              Breaking.method(Backend.class, "supports", call -> true)),
          new Fault(
              "denies a type and serves it all the same",
              "B121",
              Breaking.method(
                  Backend.class,
                  "supports",
                  call ->
                      call.get(0, OpCall.class).operation() != Operation.LINEAR
                          && (boolean) call.honestly())),
          new Fault(
              "refuses what it does not support with the wrong code",
              "B121",
              Breaking.method(CacheOps.class, "allocate", MemoryFaults::wrongCode)),
          new Fault(
              "loses count when two threads allocate at once",
              "B122",
              Breaking.scopes(RacingScope::new)),
          new Fault(
              "is one backend however often it is opened",
              "B123",
              () -> {
                Backend only = new ReferenceBackend();
                return Breaking.provider("open", call -> refusingOptions(call, only)).get();
              }));

  private MemoryFaults() {}

  private static Object refusingOptions(Breaking.Call call, Backend only) {
    call.honestly();
    return only;
  }

  private static Object closeOnce(Breaking.Call call) {
    // A closed backend opens no scope.
    call.backend().openScope("still open");
    return call.honestly();
  }

  private static float[] plusZero(float[] numbers) {
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] += 0f;
    }
    return numbers;
  }

  private static Object gapless(Breaking.Call call) {
    Tensor tensor = call.tensor(0);
    float[] numbers = (float[]) call.honestly();
    if (!tensor.layout().isContiguous() && numbers.length > 1) {
      // What stands where a gap is.
      numbers[numbers.length - 1] = -7.25e20f;
    }
    return numbers;
  }

  private static Object zerosForMissing(Breaking.Call call) {
    try {
      return call.honestly();
    } catch (InferenceException e) {
      return call.get(0, MemoryScope.class).allocate(DType.F32, call.get(3, Shape.class));
    }
  }

  private static Object wrongCode(Breaking.Call call) {
    try {
      return call.honestly();
    } catch (InferenceException e) {
      throw new InferenceException(ErrorCode.DEVICE_FAILURE, e.getMessage(), e);
    }
  }

  private static Object writableCopy(Breaking.Call call) {
    Tensor loaded = (Tensor) call.honestly();
    if (loaded.dtype() != DType.F32) {
      return loaded;
    }
    Tensor copy = call.get(0, MemoryScope.class).allocate(DType.F32, loaded.shape());
    call.write(copy, call.numbers(loaded));
    return copy;
  }

  private static Object cut(Breaking.Call call) {
    int elements = Math.toIntExact(call.tensor(0).shape().elements());
    return call.arguments()[1] instanceof float[] floats && floats.length > elements
        ? call.with(1, Arrays.copyOf(floats, elements))
        : call.honestly();
  }

  private static Object boast(Breaking.Call call) {
    BackendInfo info = (BackendInfo) call.honestly();
    return new BackendInfo(
        info.id(), info.device(), info.threads(), info.totalBytes(), Long.MAX_VALUE, Map.of());
  }

  private static final class DirtyScope extends BrokenScope {
    DirtyScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public Tensor allocate(DType dtype, Shape shape) {
      Tensor tensor = super.allocate(dtype, shape);
      if (dtype == DType.F32) {
        try (Backend host = new ReferenceBackend()) {
          float[] left = new float[Math.toIntExact(shape.elements())];
          Arrays.fill(left, 3);
          host.host().copyFromHost(tensor, left);
        }
      }
      return tensor;
    }

    @Override
    public MemoryScope child(String name) {
      return new DirtyScope(super.child(name));
    }
  }

  private static final class HoardingScope extends BrokenScope {
    HoardingScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public MemoryScope child(String name) {
      // The child's bytes stay with the parent.
      return new HoardingScope(honest());
    }

    @Override
    public void close() {}
  }

  private static final class ChildrenOutliveScope extends BrokenScope {
    private final MemoryScope orphanage;

    ChildrenOutliveScope(MemoryScope honest) {
      super(honest);
      orphanage = new ReferenceBackend().openScope("orphans");
    }

    @Override
    public MemoryScope child(String name) {
      return orphanage.child(name);
    }
  }

  private static final class CloseOnceScope extends BrokenScope {
    private boolean closed;

    CloseOnceScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public void close() {
      if (closed) {
        throw new IllegalStateException("already closed");
      }
      closed = true;
      super.close();
    }
  }

  private static final class LingeringScope extends BrokenScope {
    LingeringScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public MemoryScope child(String name) {
      return new LingeringScope(super.child(name));
    }

    @Override
    public void close() {}
  }

  private static final class BareErrorScope extends BrokenScope {
    BareErrorScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public MemoryScope child(String name) {
      return new BareErrorScope(super.child(name));
    }

    @Override
    public Tensor allocate(DType dtype, Shape shape) {
      try {
        return super.allocate(dtype, shape);
      } catch (InferenceException e) {
        if (e.code() == ErrorCode.OUT_OF_MEMORY) {
          throw new OutOfMemoryError(e.getMessage());
        }
        throw e;
      }
    }
  }

  private static final class OvercountScope extends BrokenScope {
    private long refusedBytes;

    OvercountScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public MemoryScope child(String name) {
      return new OvercountScope(super.child(name));
    }

    @Override
    public Tensor allocate(DType dtype, Shape shape) {
      refusedBytes += 4;
      Tensor tensor = super.allocate(dtype, shape);
      refusedBytes -= 4;
      return tensor;
    }

    @Override
    public long allocatedBytes() {
      return super.allocatedBytes() + refusedBytes;
    }
  }

  private static final class RacingScope extends BrokenScope {
    private volatile long bytes;

    RacingScope(MemoryScope honest) {
      super(honest);
    }

    @Override
    public Tensor allocate(DType dtype, Shape shape) {
      long before = bytes;
      Tensor tensor = super.allocate(dtype, shape);
      pause();
      bytes = before + dtype.bytes(shape.elements());
      return tensor;
    }

    @Override
    public long allocatedBytes() {
      return bytes;
    }
  }

  /** Gives other threads time to come between. */
  static void pause() {
    try {
      Thread.sleep(1);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
