package org.parallelcomp.conformance.asserting;

import java.lang.reflect.Method;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.Tensor;

/**
 * What the calls that are running now use. Threads may share a backend as long as none writes a
 * tensor, takes a scratch area or closes a scope that a call of another is using.
 */
final class CallsAtOnce {
  /** A call that is running; each object compares by identity. */
  private static final class Call {
    final Thread thread = Thread.currentThread();
    final String name;
    final List<AssertingTensor> read;
    final List<AssertingTensor> written;
    final List<Scratch> scratch;

    Call(Method method, Object[] arguments) {
      name = method.getName();
      read = tensors(method, arguments, false);
      written = tensors(method, arguments, true);
      scratch =
          Stream.of(arguments).filter(Scratch.class::isInstance).map(Scratch.class::cast).toList();
    }

    Stream<AssertingTensor> used() {
      return Stream.concat(read.stream(), written.stream());
    }
  }

  private final List<Call> running = new CopyOnWriteArrayList<>();

  /** Notes a call until what is returned is closed. */
  Running begin(Method method, Object[] arguments) {
    var call = new Call(method, arguments);
    // First noted, then compared: of two calls that begin at once, one at least sees the other.
    running.add(call);
    for (Call other : running) {
      if (other.thread != call.thread) {
        try {
          requireApart(call, other);
        } catch (AssertionError e) {
          running.remove(call);
          throw e;
        }
      }
    }
    return () -> running.remove(call);
  }

  /** A call that runs until it is closed. */
  @FunctionalInterface
  interface Running extends AutoCloseable {
    @Override
    void close();
  }

  private static void requireApart(Call call, Call other) {
    requireUntouched(call, call.written, other, other.used().toList());
    requireUntouched(other, other.written, call, call.read);
    for (Scratch each : call.scratch) {
      Contract.require(
          !other.scratch.contains(each),
          () -> call.name + " and " + other.name + " share a scratch area between two threads");
    }
  }

  private static void requireUntouched(
      Call writer, List<AssertingTensor> written, Call user, List<AssertingTensor> used) {
    for (AssertingTensor out : written) {
      for (AssertingTensor each : used) {
        Contract.require(
            !out.overlaps(each),
            () ->
                writer.name
                    + " writes "
                    + out
                    + " while "
                    + user.name
                    + " of another thread uses it");
      }
    }
  }

  /** Requires that no other thread uses what a scope owns. */
  void requireUnused(AssertingScope scope) {
    for (Call call : running) {
      if (call.thread != Thread.currentThread()) {
        call.used()
            .forEach(
                tensor ->
                    Contract.require(
                        !tensor.scope().isWithin(scope),
                        () ->
                            "the scope "
                                + scope
                                + " is closed while "
                                + call.name
                                + " of another thread uses "
                                + tensor));
      }
    }
  }

  private static List<AssertingTensor> tensors(Method method, Object[] arguments, boolean written) {
    return IntStream.range(0, arguments.length)
        .filter(i -> writes(method, i) == written)
        .mapToObj(i -> arguments[i])
        .flatMap(CallsAtOnce::tensors)
        .toList();
  }

  /**
   * Returns whether a call writes to an argument: those that stand first, where it has no result.
   */
  private static boolean writes(Method method, int argument) {
    int outputs =
        switch (method.getName()) {
          case "attentionInput" -> 3;
          case "attend", "mergePartial" -> 2;
          default -> 1;
        };
    return method.getReturnType() == void.class && argument < outputs;
  }

  private static Stream<AssertingTensor> tensors(@Nullable Object argument) {
    return switch (argument) {
      case AssertingTensor tensor -> Stream.of(tensor);
      case KvLayer layer -> each(layer.keys(), layer.values(), layer.positions());
      case TokenSelection selection -> each(selection.indices().orElse(null));
      case AttendSequence sequence -> tensors(sequence.layer());
      case Rope rope -> each(rope.cosines(), rope.sines());
      case AttentionBlock block ->
          each(
              block.norm(),
              block.query(),
              block.queryBias(),
              block.key(),
              block.keyBias(),
              block.value(),
              block.valueBias(),
              block.queryNorm(),
              block.keyNorm(),
              block.output(),
              block.outputBias());
      case FeedForwardBlock block -> each(block.norm(), block.gate(), block.up(), block.down());
      case List<?> list -> list.stream().flatMap(CallsAtOnce::tensors);
      case null, default -> Stream.of();
    };
  }

  private static Stream<AssertingTensor> each(@Nullable Tensor... tensors) {
    return Stream.of(tensors).filter(Objects::nonNull).flatMap(CallsAtOnce::tensors);
  }
}
