package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.asserting.AssertingBackendProvider;
import org.parallelcomp.conformance.faults.Breaking;
import org.parallelcomp.conformance.faults.Fault;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;

/** The guard before a backend lets honest calls through and finds dishonest ones on both sides. */
class AssertingBackendTest {
  private final Backend backend = open(new ReferenceBackendProvider());
  private final MemoryScope scope = backend.openScope("test");

  private static Backend open(BackendProvider real) {
    return new AssertingBackendProvider(real).open(new BackendConfig(1, Map.of()));
  }

  private static BackendProvider fault(String what) {
    return Fault.all().stream()
        .filter(fault -> fault.what().equals(what))
        .findFirst()
        .orElseThrow()
        .provider()
        .get();
  }

  private Tensor floats(long... dims) {
    return scope.allocate(DType.F32, Shape.of(dims));
  }

  private Tensor ints(int... numbers) {
    Tensor tensor = scope.allocate(DType.I32, Shape.of(numbers.length));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  private static void assertFound(String words, Runnable call) {
    String message = assertThrows(AssertionError.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }

  @Test
  void honestCallsPass() {
    KvLayer layer = backend.cache().allocate(scope, DType.F32, new int[] {4, 4}, 2);
    backend.cache().append(layer, floats(3, 2, 2), floats(3, 2, 2), ints(5, 6, 7));
    assertArrayEquals(new int[] {3, 3}, layer.tokens());
    backend
        .attention()
        .attend(
            floats(3, 4, 2),
            floats(4, 3),
            floats(3, 4, 2),
            1,
            List.of(AttendSequence.causal(0, 3, layer)));
    Tensor best = backend.tensorOps(scope).topK(floats(2, 3), 2);
    KvLayer kept = backend.cache().compact(scope, layer, 0, TokenSelection.uniform(3, best));
    assertArrayEquals(new int[] {2, 2}, kept.tokens());
    assertArrayEquals(
        new int[] {5, 6, 5, 6}, backend.host().copyToHostInts(kept.positions().slice(0, 0, 4)));
    Tensor same = floats(3, 4);
    backend.decoder().rmsNorm(same, same, floats(4), 1e-5f);
    assertEquals(Shape.of(3), backend.tensorOps(scope).sum(same, 1).shape());
  }

  @Test
  void aTensorOfAClosedScopeIsFound() {
    MemoryScope child = scope.child("child");
    Tensor late = child.allocate(DType.F32, Shape.of(2, 2)).slice(0, 0, 1);
    child.close();
    assertFound("is closed", () -> backend.tensorOps(scope).exp(late));
    assertFound("closed scope", () -> child.allocate(DType.F32, Shape.of(1)));
  }

  @Test
  void anotherBackendsTensorIsFound() {
    try (Backend other = open(new ReferenceBackendProvider());
        MemoryScope strangers = other.openScope("other")) {
      Tensor strange = strangers.allocate(DType.F32, Shape.of(2));
      assertFound("another backend's", () -> backend.tensorOps(scope).exp(strange));
    }
  }

  @Test
  void outputsThatOverlapInputsAreFound() {
    Tensor all = floats(4, 6);
    Tensor left = all.slice(1, 0, 3);
    // Columns beside one another share no number.
    backend.decoder().swiGlu(left, left, all.slice(1, 3, 6));
    assertFound(
        "overlaps", () -> backend.decoder().swiGlu(left, all.slice(1, 3, 6), all.slice(1, 2, 5)));
  }

  @Test
  void numbersOutOfRangeAreFound() {
    assertFound(
        "token ids hold 7", () -> backend.decoder().embed(floats(2, 4), floats(7, 4), ints(0, 7)));
    assertFound("indices hold 3", () -> backend.tensorOps(scope).gather(floats(3), ints(0, 3)));
    Tensor twice = ints(1, 1);
    assertFound(
        "selection has 1 behind 1",
        () -> backend.tensorOps(scope).mask(TokenSelection.of(4, new int[] {2}, twice)));
  }

  @Test
  void wrongShapesAreFound() {
    assertFound(
        "out is F32[2, 4] where F32[2, 5] is due",
        () -> backend.decoder().linear(floats(2, 4), floats(5, 3), null, floats(2, 3)));
  }

  @Test
  void rowsOfNoSequenceAreFound() {
    KvLayer layer = backend.cache().allocate(scope, DType.F32, new int[] {4}, 2);
    backend.cache().append(layer, floats(2, 1, 2), floats(2, 1, 2), ints(0, 1));
    assertFound(
        "row 2 is in no sequence",
        () ->
            backend
                .attention()
                .attend(
                    floats(3, 1, 2),
                    null,
                    floats(3, 1, 2),
                    1,
                    List.of(AttendSequence.causal(0, 2, layer))));
  }

  @Test
  void scopesThatOutliveTheirBackendAreFound() {
    Backend leaking = open(new ReferenceBackendProvider());
    leaking.openScope("closed").close();
    leaking.openScope("forgotten");
    assertFound("closed before the scopes [forgotten]", leaking::close);
    leaking.close();
  }

  /** While a call of one thread is held in the middle, another thread does what it likes. */
  @Test
  void threadsThatDisturbOneAnotherAreFound() throws Exception {
    var within = new CountDownLatch(1);
    var goOn = new CountDownLatch(1);
    // Every call of the decoder waits in the backend until the test lets it go on.
    BackendProvider waiting =
        Breaking.method(
                DecoderOps.class,
                "add",
                call -> {
                  within.countDown();
                  goOn.await();
                  return call.honestly();
                })
            .get();
    try (Backend shared = open(waiting);
        MemoryScope own = shared.openScope("own")) {
      Tensor sum = own.allocate(DType.F32, Shape.of(4, 6));
      Tensor term = own.allocate(DType.F32, Shape.of(4, 6));
      Tensor other = own.allocate(DType.F32, Shape.of(4, 6));
      Thread thread = Thread.ofPlatform().start(() -> shared.decoder().add(sum, term));
      try {
        within.await();
        assertFound(
            "add writes F32[4, 6] while swiGlu",
            () -> shared.decoder().swiGlu(other, other, sum.slice(0, 0, 4)));
        assertFound(
            "swiGlu writes F32[4, 6] while add", () -> shared.decoder().swiGlu(term, term, other));
        assertFound(
            "copyFromHost writes F32[1, 6] while add",
            () -> shared.host().copyFromHost(sum.slice(0, 3, 4), new float[6]));
        assertFound("scope own is closed while add", own::close);
        // Reading what the other reads, and writing elsewhere, is everybody's right.
        shared.decoder().swiGlu(other, other, term);
      } finally {
        goOn.countDown();
        thread.join();
      }
      shared.decoder().swiGlu(term, term, sum);
    }
  }

  @Test
  void brokenBackendsAreFoundToo() {
    try (Backend broken = open(fault("gives the best positions in the order of their numbers"));
        MemoryScope own = broken.openScope("own")) {
      Tensor scores = own.allocate(DType.F32, Shape.of(1, 5));
      broken.host().copyFromHost(scores, new float[] {0, 1, 2, 3, 4});
      assertFound("topK has", () -> broken.tensorOps(own).topK(scores, 3));
    }
    try (Backend broken = open(fault("denies a type and serves it all the same"));
        MemoryScope own = broken.openScope("own")) {
      Tensor in = own.allocate(DType.F32, Shape.of(1, 2));
      Tensor weight = own.allocate(DType.F32, Shape.of(3, 2));
      Tensor out = own.allocate(DType.F32, Shape.of(1, 3));
      assertFound("says it does not", () -> broken.decoder().linear(out, weight, null, in));
    }
  }
}
