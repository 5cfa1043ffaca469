package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.parallelcomp.engine.GenerationRequest;

class JsonTest {
  private final FakeEngine engine = new FakeEngine();

  /** One whole object, so that a name that changes fails here. */
  @Test
  void askPrintsOneObjectAndNothingElse() throws IOException {
    Run run = Run.of(engine, "ask", "--json", "-t", "b", "q");

    assertEquals(0, run.status(), run::err);
    String expected =
        """
        {"answer":"in the lighthouse","finishReason":"stop-token","model":"needle-6m",
         "backend":"cpu-vector",
         "passages":[
          {"chunk":2,"fromChar":1000,"toChar":1021,"tokens":6,"selfInformation":null,
           "keptTokensPerLayer":[6.0],"text":"Call me\\nIshmael. Now."},
          {"chunk":7,"fromChar":12000,"toChar":12089,"tokens":20,"selfInformation":0.25,
           "keptTokensPerLayer":[20.0,10.5],"text":"%s"}],
         "figures":{"textTokens":131072,"promptTokens":30,"prefilledTokens":140000,
          "answerTokens":3,"chunks":70,"keptChunks":2,"fullCacheBytes":805000000,
          "keptCacheBytes":1500000,"readSeconds":0.5,"prefillSeconds":10.0,"mergeSeconds":0.0,
          "decodeSeconds":0.02,"firstTokenSeconds":10.6,"prefillTokensPerSecond":14000.0,
          "decodeTokensPerSecond":100.0},
         "cache":{"compression":"applied","layers":[{"keptTokens":[20,1],"keptBytes":5376}],
          "finalBytes":9000,"decodingCuts":2},
         "plan":{"name":"parallelcomp","prefill":"parallel","bindToWindow":true,
          "policies":{"chunking":"even","chunk-scorer":"plain","chunk-eviction":"best",
           "budget":"tokens","token-scorer":"window-attention","selector":"plain",
           "calibration":"plain","schedule":"plain",
           "merge":"plain"}},
         "form":{"instruction":"","questionForm":"\\n{question}","answerLead":""},
         "sampling":{"repetitionPenalty":1.0,"temperature":0.0,"topK":0,"topP":1.0,"minP":0.0,
          "seed":0},
         "tokenIds":[5,6,7],"warnings":["The text is short."]}
        """
            .formatted(FakeEngine.TEXT);
    var mapper = new ObjectMapper();
    assertEquals(
        mapper.readTree(expected).toPrettyString(), mapper.readTree(run.out()).toPrettyString());
  }

  @Test
  void everyListingHasJson() throws IOException {
    assertEquals(
        "libcuda.so was not found", json("backends").at("/backends/1/reasons/0/cause").asText());
    assertEquals(50, json("backends").at("/backends/0/score").asInt());
    assertEquals("even", json("policies").at("/policies/0/name").asText());
    assertEquals("512", json("policies", "even").at("/policies/0/parameters/0/default").asText());
    assertEquals(2048, json("inspect").get("trainedWindow").asInt());
    assertEquals(6_131_712, json("inspect").at("/dtypeBytes/Q8_0").asInt());
    assertTrue(json("doctor").has("java"));
    assertEquals("bundled.gguf", json("doctor").get("bundled model").asText());
  }

  @Test
  void listingsAreText() {
    assertEquals(
        """
        cpu-vector: The processor.
          usable, score 50: 512-bit, 2 threads
          from module a
        cuda: NVIDIA GPUs.
          not usable here:
          - libcuda.so was not found
            remedy: install a driver
          - no native access
            remedy: pass --enable-native-access
          from module b
        """,
        Run.of(engine, "backends").out());
    assertTrue(
        Run.of(engine, "policies").out().contains("tokens=512 tokens: longest chunk"),
        () -> Run.of(engine, "policies").out());
    assertTrue(Run.of(engine, "policies", "full").out().startsWith("full (preset): Plain"));
    assertTrue(Run.of(engine, "inspect").out().contains("trained window    2,048 tokens\n"));
    assertTrue(Run.of(engine, "doctor").out().contains("usable, score 50"));
  }

  @Test
  void doctorFailsWithoutAUsableBackend() {
    engine.backends = List.of();

    assertEquals(3, Run.of(engine, "doctor").status());
  }

  @Test
  void resultIsWrittenWithoutPlan() {
    assertEquals(
        "full",
        ResultJson.of(engine.result(GenerationRequest.prompt("p"))).at("/plan/name").asText());
  }

  private JsonNode json(String... command) throws IOException {
    var args = new java.util.ArrayList<>(List.of(command));
    args.add("--json");
    Run run = Run.of(engine, args.toArray(String[]::new));
    assertEquals(0, run.status(), run::err);
    return new ObjectMapper().readTree(run.out());
  }
}
