package org.parallelcomp.conformance;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.OutOfBounds;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;

/** The oracle with one method broken at a time. */
final class BrokenBackends {
  /** A method in place of another. */
  @FunctionalInterface
  private interface Broken {
    Object call(Backend honest, Object[] arguments);
  }

  private BrokenBackends() {}

  /** Every row but the last of a causal sequence also sees the next row's token. */
  static BackendProvider looksOneTokenAhead() {
    return breaking(
        AttentionOps.class,
        "attend",
        (honest, a) -> {
          @SuppressWarnings("unchecked")
          var sequences = (List<AttendSequence>) a[4];
          var rows = new ArrayList<AttendSequence>();
          for (AttendSequence s : sequences) {
            for (int row = 0; row < s.rows(); row++) {
              int later = s.causal() ? Math.max(0, s.rows() - row - 2) : 0;
              int[] to = Arrays.stream(s.toToken()).map(t -> t - later).toArray();
              rows.add(
                  new AttendSequence(s.firstRow() + row, 1, s.layer(), s.fromToken(), to, false));
            }
          }
          honest
              .attention()
              .attend((Tensor) a[0], (Tensor) a[1], (Tensor) a[2], (float) a[3], rows);
          return null;
        });
  }

  /** Gives the positions from the last to the first. */
  static BackendProvider leavesTopKByScore() {
    return breaking(
        TensorOps.class,
        "topK",
        (honest, a) -> {
          var scope = honest.openScope("top-k");
          Tensor sorted = honest.tensorOps(scope).topK((Tensor) a[0], (int) a[1]);
          int[] positions = honest.host().copyToHostInts(sorted);
          int count = (int) a[1];
          int[] turned = new int[positions.length];
          for (int i = 0; i < turned.length; i++) {
            turned[i] = positions[i / count * count + count - 1 - i % count];
          }
          Tensor result = scope.allocate(DType.I32, sorted.shape());
          honest.host().copyFromHost(result, turned);
          return result;
        });
  }

  /** Writes one number behind the end of a row, as a vector loop without a tail would. */
  static BackendProvider writesBehindRows() {
    return breaking(
        DecoderOps.class,
        "rmsNorm",
        (honest, a) -> {
          Tensor out = (Tensor) a[0];
          honest.decoder().rmsNorm(out, (Tensor) a[1], (Tensor) a[2], (float) a[3]);
          OutOfBounds.writeBehindFirstRow(out);
          return null;
        });
  }

  /** Rotates the keys but does not say where they are now. */
  static BackendProvider keepsPositionsOnRotation() {
    return breaking(
        CacheOps.class,
        "rerotate",
        (honest, a) -> {
          HostTransfer host = honest.host();
          Tensor positions = ((KvLayer) a[0]).positions();
          int[] before = host.copyToHostInts(positions);
          honest.cache().rerotate((KvLayer) a[0], (int) a[1], (Rope) a[2]);
          host.copyFromHost(positions, before);
          return null;
        });
  }

  /** Says that no linear layer is supported, and computes it all the same. */
  static BackendProvider deniesEveryWeightType() {
    return breaking(
        Backend.class, "supports", (honest, a) -> ((OpCall) a[0]).operation() != Operation.LINEAR);
  }

  /** Rounds the input of every linear layer to half precision. */
  static BackendProvider multipliesInHalfPrecision() {
    return breaking(
        DecoderOps.class,
        "linear",
        (honest, a) -> {
          Tensor in = (Tensor) a[3];
          float[] numbers = honest.host().copyToHostFloats(in);
          for (int i = 0; i < numbers.length; i++) {
            numbers[i] = Float.float16ToFloat(Float.floatToFloat16(numbers[i]));
          }
          try (var scope = honest.openScope("half")) {
            Tensor half = scope.allocate(DType.F32, in.shape());
            honest.host().copyFromHost(half, numbers);
            honest.decoder().linear((Tensor) a[0], (Tensor) a[1], (Tensor) a[2], half);
          }
          return null;
        });
  }

  private static BackendProvider breaking(Class<?> family, String method, Broken broken) {
    return proxy(
        BackendProvider.class,
        new ReferenceBackendProvider(),
        "open",
        backend -> proxyOf(new ReferenceBackend(), family, method, broken));
  }

  private static Backend proxyOf(Backend honest, Class<?> family, String method, Broken broken) {
    InvocationHandler handler =
        (proxy, called, arguments) -> {
          if (called.getDeclaringClass() == family && called.getName().equals(method)) {
            return broken.call(honest, arguments);
          }
          Object result = invoke(honest, called, arguments);
          return family.isInstance(result)
              ? brokenFamily(family, result, method, honest, broken)
              : result;
        };
    return Backend.class.cast(newProxy(Backend.class, handler));
  }

  private static Object brokenFamily(
      Class<?> family, Object honestFamily, String method, Backend honest, Broken broken) {
    return newProxy(
        family,
        (proxy, called, arguments) ->
            called.getName().equals(method)
                ? broken.call(honest, arguments)
                : invoke(honestFamily, called, arguments));
  }

  private static <T> T proxy(Class<T> type, T honest, String method, UnaryOperator<Object> broken) {
    return type.cast(
        newProxy(
            type,
            (proxy, called, arguments) ->
                called.getName().equals(method)
                    ? broken.apply(honest)
                    : invoke(honest, called, arguments)));
  }

  private static Object newProxy(Class<?> type, InvocationHandler handler) {
    return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
  }

  private static Object invoke(Object target, Method method, Object[] arguments) throws Throwable {
    try {
      // The implementations are not public, but their interfaces are.
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
