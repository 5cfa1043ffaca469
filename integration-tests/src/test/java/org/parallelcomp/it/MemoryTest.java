package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.parallelcomp.engine.Engine;

/** What requests leave behind in the memory of the process. */
class MemoryTest {
  private static final int REQUESTS = 100;

  private static final int STRETCHES = 4;

  /**
   * What the least growing of three stretches may grow by. The virtual machine and the allocators
   * of native libraries take memory in single steps, 5 to 25 MiB over all requests; what requests
   * leave behind grows in every stretch, and the keys and values of a single request are 3 MiB.
   */
  private static final long MARGIN_KIB = 4 << 10;

  @Test
  @EnabledOnOs(OS.LINUX)
  void aHundredRequestsLeaveItWhereItWasAfterTheFifth() {
    assertStays(5, Integer.toString(REQUESTS));
  }

  /** Its graphs are made when they first run, the last with the last of the presets. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aHundredRequestsToOnnxRuntimeLeaveItWhereItWasAfterEveryPresetHasRunTwice() {
    assertStays(2 * Engine.policies().presets().size(), Integer.toString(REQUESTS), "onnx");
  }

  private static void assertStays(int afterRequests, String... arguments) {
    // The heap is touched as a whole at the start, so that all growth is outside of it.
    Command.Outcome outcome =
        Command.ofTests(
            List.of(
                "-Xms128m",
                "-Xmx128m",
                "-XX:+AlwaysPreTouch",
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED"),
            ManyRequests.class,
            arguments);
    assertEquals(0, outcome.status(), outcome::err);
    List<Long> residentKib = outcome.out().lines().map(Long::valueOf).toList();
    assertEquals(REQUESTS, residentKib.size());
    System.out.println("resident KiB after each request: " + residentKib);
    long growth = leastGrowth(residentKib.subList(afterRequests, REQUESTS));
    assertTrue(growth < MARGIN_KIB, () -> "grew by " + growth + " KiB: " + residentKib);
  }

  /** The least that the median of a stretch of requests grew by from one stretch to the next. */
  private static long leastGrowth(List<Long> residentKib) {
    int length = residentKib.size() / STRETCHES;
    List<Long> medians =
        IntStream.range(0, STRETCHES)
            .mapToObj(i -> residentKib.subList(i * length, (i + 1) * length))
            .map(stretch -> stretch.stream().sorted().toList().get(length / 2))
            .toList();
    return IntStream.range(1, STRETCHES)
        .mapToLong(i -> medians.get(i) - medians.get(i - 1))
        .min()
        .orElseThrow();
  }

  @Test
  void growthInEveryStretchIsFoundAndASingleStepIsNot() {
    List<Long> leak = LongStream.range(0, 60).map(i -> i * 300).boxed().toList();
    List<Long> step = LongStream.range(0, 60).map(i -> i < 20 ? 0 : 30_000).boxed().toList();
    assertEquals(15 * 300, leastGrowth(leak));
    assertEquals(0, leastGrowth(step));
  }
}
