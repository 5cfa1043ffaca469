package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.cli.EngineAccess.Opened;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;

/** One request from its text to its printed answer; what ask and generate share. */
final class Answering {
  private final Streams streams;
  private final AnswerOptions options;
  private final ProgressLine progress;

  Answering(Streams streams, AnswerOptions options) {
    this.streams = streams;
    this.options = options;
    this.progress = new ProgressLine(streams.err(), options.showsProgress(streams));
  }

  /** Returns the text of a file, or of standard input if the name is "-". */
  String read(String name, EngineAccess engine) {
    if (name.equals("-")) {
      return readStandardInput();
    }
    progress.say("reading " + name);
    try {
      return engine.readText(Path.of(name));
    } catch (InvalidPathException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "'" + name + "' is not the name of a file.", e);
    } finally {
      progress.clear();
    }
  }

  private String readStandardInput() {
    byte[] bytes;
    try {
      bytes = streams.in().readAllBytes();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "Standard input cannot be read: " + e.getMessage() + ".", e);
    }
    for (int at = 0; at < bytes.length; at++) {
      if (bytes[at] == 0) {
        throw new InferenceException(
            ErrorCode.INVALID_TEXT,
            "Standard input is no text: it holds a zero byte at offset " + at + ".");
      }
    }
    ByteBuffer rest = ByteBuffer.wrap(bytes);
    try {
      String decoded = StandardCharsets.UTF_8.newDecoder().decode(rest).toString();
      String text = decoded.startsWith("\uFEFF") ? decoded.substring(1) : decoded;
      if (text.isBlank()) {
        throw new InferenceException(ErrorCode.INVALID_TEXT, "Standard input holds no text.");
      }
      return text;
    } catch (CharacterCodingException e) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "Standard input is not UTF-8 text: byte " + rest.position() + " does not fit.",
          e);
    }
  }

  /**
   * Opens the model, runs the request, prints the result; returns the exit status.
   *
   * @param onResult takes the result while the model is still open, unless the request was
   *     interrupted
   */
  int run(
      EngineAccess engine,
      EngineConfig config,
      Function<Opened, GenerationRequest> request,
      BiConsumer<Opened, GenerationResult> onResult) {
    try (var interrupt = new Interrupt()) {
      progress.say("loading " + config.model().getFileName());
      GenerationResult result;
      try (Opened opened = engine.open(config)) {
        GenerationRequest complete =
            options.applyTo(request.apply(opened)).withCancellation(interrupt.cancellation());
        result =
            opened.generate(
                complete, new AnswerSink(streams, options, progress, interrupt.cancellation()));
        if (result.finishReason() != FinishReason.CANCELLED) {
          onResult.accept(opened, result);
        }
      } finally {
        progress.clear();
      }
      print(result);
      return result.finishReason() == FinishReason.CANCELLED ? ExitStatus.INTERRUPTED : 0;
    }
  }

  private void print(GenerationResult result) {
    if (options.json()) {
      Json.print(ResultJson.of(result), streams);
    } else {
      // The answer itself was streamed.
      streams.out().println();
      if (!options.quiet()) {
        streams.out().print(ResultText.of(result));
      }
    }
    boolean readerWentAway = streams.out().checkError();
    if (result.finishReason() == FinishReason.CANCELLED && !readerWentAway) {
      streams.err().println("parallelcomp: Interrupted.");
    }
  }
}
