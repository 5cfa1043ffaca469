package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/** Each phase of a request is an event of the JDK Flight Recorder, with figures that add up. */
class FlightRecorderTest {
  private static final String PREFIX = "org.parallelcomp.";

  @Test
  void everyPhaseIsAnEvent(@TempDir Path folder) throws Exception {
    String text =
        "The grass is green. The sky is blue. The sun is yellow. ".repeat(100)
            + "Mira keeps the silver key in the lighthouse. "
            + "Here we go. There and back again. ".repeat(100);
    GenerationResult result;
    Path file = folder.resolve("recording.jfr");
    try (Engine engine = Engine.open(EngineConfig.of(Needle6m.path()));
        var recording = new Recording()) {
      for (String event : List.of("Read", "ChunkPrefill", "ChunkEviction", "Merge", "Decode")) {
        recording.enable(PREFIX + event).withoutThreshold();
      }
      recording.start();
      result =
          engine.generate(
              GenerationRequest.ask(text, "Where does Mira keep the silver key?"), TokenSink.NONE);
      recording.stop();
      recording.dump(file);
    }

    Map<String, List<RecordedEvent>> events =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getEventType().getName().startsWith(PREFIX))
            .collect(
                Collectors.groupingBy(
                    event -> event.getEventType().getName().substring(PREFIX.length())));
    int chunks = result.figures().chunks();
    assertTrue(chunks > 2, chunks + " chunks");
    assertEquals(1, events.get("Read").size());
    assertEquals(result.figures().textTokens(), events.get("Read").getFirst().getInt("textTokens"));
    assertEquals(chunks, events.get("ChunkPrefill").size());
    assertEquals(
        result.figures().textTokens(),
        events.get("ChunkPrefill").stream().mapToInt(event -> event.getInt("tokens")).sum());
    // Those that passed together are as many as each of them says.
    Map<Integer, Long> prefills =
        events.get("ChunkPrefill").stream()
            .collect(
                Collectors.groupingBy(
                    event -> event.getInt("chunksInPass"), Collectors.counting()));
    prefills.forEach((together, count) -> assertEquals(0, count % together, prefills.toString()));
    assertEquals(chunks - result.figures().keptChunks(), events.get("ChunkEviction").size());
    assertEquals(
        result.figures().keptCacheBytes(), events.get("Merge").getFirst().getLong("keptBytes"));
    assertEquals(
        result.figures().answerTokens(), events.get("Decode").getFirst().getInt("answerTokens"));
  }
}
