package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.parallelcomp.engine.Engine;

/** What requests leave behind in the memory of the process. */
class MemoryTest {
  private static final int REQUESTS = 100;

  /**
   * What the virtual machine itself takes meanwhile, for compiled code above all: 3 to 9 MiB were
   * seen. The keys and values of a single request are 3 MiB.
   */
  private static final long MARGIN_KIB = 16 << 10;

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
    long growth = residentKib.getLast() - residentKib.get(afterRequests - 1);
    assertTrue(growth < MARGIN_KIB, () -> "grew by " + growth + " KiB: " + residentKib);
  }
}
