package org.parallelcomp.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A headless browser, spoken to by the DevTools protocol. */
final class Chromium implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Only against a hang. */
  private static final int MAX_SECONDS = 60;

  private final Process process;
  private final HttpClient client;
  private final WebSocket socket;
  private final BlockingQueue<String> messages;
  private final List<String> complaints = new ArrayList<>();
  private String session = "";
  private int lastId;

  private Chromium(
      Process process, HttpClient client, WebSocket socket, BlockingQueue<String> messages) {
    this.process = process;
    this.client = client;
    this.socket = socket;
    this.messages = messages;
  }

  /** Returns the browser on the path, if there is one. */
  static Optional<Path> executable() {
    return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
        .flatMap(
            folder ->
                Stream.of("chromium", "chromium-browser", "google-chrome", "chrome")
                    .map(name -> Path.of(folder, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Starts it.
   *
   * @param profile a folder of its own
   */
  static Chromium start(Path profile) throws Exception {
    Process process =
        new ProcessBuilder(
                executable().orElseThrow().toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                "--user-data-dir=" + profile,
                "about:blank")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      List<String> address = address(process, profile.resolve("DevToolsActivePort"));
      var messages = new LinkedBlockingQueue<String>();
      HttpClient client = HttpClient.newHttpClient();
      WebSocket socket =
          client
              .newWebSocketBuilder()
              .buildAsync(
                  URI.create("ws://127.0.0.1:" + address.get(0) + address.get(1)),
                  listener(messages))
              .get(MAX_SECONDS, TimeUnit.SECONDS);
      return new Chromium(process, client, socket, messages);
    } catch (Exception | Error e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private static List<String> address(Process process, Path file) throws Exception {
    for (int tenths = 0; tenths < 10 * MAX_SECONDS && process.isAlive(); tenths++) {
      if (Files.exists(file)) {
        List<String> lines = Files.readAllLines(file);
        if (lines.size() == 2) {
          return lines;
        }
      }
      process.waitFor(100, TimeUnit.MILLISECONDS);
    }
    throw new IOException("the browser did not start");
  }

  private static WebSocket.Listener listener(BlockingQueue<String> messages) {
    return new WebSocket.Listener() {
      private final StringBuilder message = new StringBuilder();

      @Override
      public CompletionStage<?> onText(WebSocket webSocket, CharSequence data, boolean last) {
        message.append(data);
        if (last) {
          messages.add(message.toString());
          message.setLength(0);
        }
        webSocket.request(1);
        return null;
      }
    };
  }

  /** Opens a page and waits until it is there. */
  void open(Path page) throws Exception {
    String target =
        call("Target.createTarget", Map.of("url", "about:blank")).get("targetId").asText();
    session =
        call("Target.attachToTarget", Map.of("targetId", target, "flatten", true))
            .get("sessionId")
            .asText();
    call("Log.enable", Map.of());
    call("Page.navigate", Map.of("url", page.toUri().toString()));
    for (int tenths = 0; tenths < 10 * MAX_SECONDS; tenths++) {
      if (evaluate("document.readyState + document.querySelectorAll('h1').length")
          .asText()
          .equals("complete1")) {
        return;
      }
      process.waitFor(100, TimeUnit.MILLISECONDS);
    }
    throw new IOException(page + " did not load");
  }

  /** Returns the result of a command. */
  JsonNode call(String method, Map<String, ?> parameters) throws Exception {
    var command = JSON.createObjectNode().put("id", ++lastId).put("method", method);
    command.set("params", JSON.valueToTree(parameters));
    if (!session.isEmpty()) {
      command.put("sessionId", session);
    }
    socket.sendText(command.toString(), true).get(MAX_SECONDS, TimeUnit.SECONDS);
    while (true) {
      String message = messages.poll(MAX_SECONDS, TimeUnit.SECONDS);
      if (message == null) {
        throw new IOException(method + " was not answered");
      }
      JsonNode answer = JSON.readTree(message);
      if (answer.path("method").asText().equals("Log.entryAdded")) {
        complaints.add(answer.get("params").toString());
      }
      if (answer.path("id").asInt() == lastId) {
        if (answer.has("error")) {
          throw new IOException(method + ": " + answer.get("error"));
        }
        return answer.get("result");
      }
    }
  }

  /** Returns the value of an expression. */
  JsonNode evaluate(String expression) throws Exception {
    JsonNode result =
        call("Runtime.evaluate", Map.of("expression", expression, "returnByValue", true));
    if (result.has("exceptionDetails")) {
      throw new IOException(result.get("exceptionDetails").toString());
    }
    return result.get("result").path("value");
  }

  /** Returns what can be seen, as PNG. */
  byte[] screenshot() throws Exception {
    return Base64.getDecoder()
        .decode(call("Page.captureScreenshot", Map.of("format", "png")).get("data").asText());
  }

  /** Returns what the browser logged: what it could not load, or refused to. */
  List<String> complaints() {
    return complaints;
  }

  /** Ends the browser. */
  @Override
  public void close() throws IOException {
    session = "";
    try {
      call("Browser.close", Map.of());
      process.waitFor(MAX_SECONDS, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new IOException("the browser did not end", e);
    } finally {
      client.close();
      process.destroyForcibly();
    }
  }
}
