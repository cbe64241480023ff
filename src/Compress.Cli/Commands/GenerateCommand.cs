using System.CommandLine;
using System.Diagnostics;
using System.Text;
using Compress.Cli.Terminal;
using Compress.Runtime.Generation;
using Compress.Runtime.Model;

namespace Compress.Cli.Commands;

/// <summary><c>compress generate MODEL</c>: continues a text with the engine in C#.</summary>
internal static class GenerateCommand
{
    private static readonly SamplingOptions Defaults = new();

    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var model = new Argument<string>("MODEL") { Description = "Model folder, or a llama2.c .bin file." };
        var prompt = new Option<string>("--prompt") { Description = "The text to continue.", Required = true };
        var tokens = new Option<int>("--max_tokens") { Description = "Most tokens to generate.", DefaultValueFactory = _ => 128 };
        var temperature = new Option<float>("--temperature")
        {
            Description = "0 takes the most likely token.",
            DefaultValueFactory = _ => Defaults.Temperature,
        };
        var topK = new Option<int>("--top_k")
        {
            Description = "Keep the k most likely tokens; 0 keeps all.",
            DefaultValueFactory = _ => Defaults.TopK,
        };
        var topP = new Option<float>("--top_p")
        {
            Description = "Keep the likeliest tokens up to this probability.",
            DefaultValueFactory = _ => Defaults.TopP,
        };
        var minP = new Option<float>("--min_p")
        {
            Description = "Keep tokens this likely relative to the likeliest.",
            DefaultValueFactory = _ => Defaults.MinP,
        };
        var seed = new Option<ulong>("--seed") { Description = "Seed of the draws." };
        var threads = new Option<int?>("--threads") { Description = "Threads; default: all cores." };
        var command = new ExampleCommand("generate", "Continues a text with the engine in C#.",
            "generate models/embedded --prompt \"Gets the number of\" --max_tokens 40")
        { model, prompt, tokens, temperature, topK, topP, minP, seed, threads };
        host.Attach(command, async (parsed, session) =>
        {
            var sampling = new SamplingOptions
            {
                Temperature = parsed.GetValue(temperature),
                TopK = parsed.GetValue(topK),
                TopP = parsed.GetValue(topP),
                MinP = parsed.GetValue(minP),
                Seed = parsed.GetValue(seed),
            };
            using var opened = RuntimeModel.Open(parsed.GetValue(model)!, parsed.GetValue(threads));
            return await GenerateAsync(session, opened, parsed.GetValue(prompt)!, parsed.GetValue(tokens), sampling);
        });
        return command;
    }

    private static async Task<int> GenerateAsync(
        CommandSession session, RuntimeModel model, string prompt, int maxTokens, SamplingOptions sampling)
    {
        var start = Stopwatch.GetTimestamp();
        var text = new StringBuilder();
        if (!session.Json) await session.Output.WriteAsync(prompt);
        try
        {
            await foreach (var piece in TextGenerator.ContinueAsync(model, prompt, maxTokens, sampling, session.Cancellation))
            {
                text.Append(piece);
                if (session.Json) continue;
                await session.Output.WriteAsync(piece);
                await session.Output.FlushAsync();
            }
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"{e.Message} See compress generate --help.");
        }
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return session.Write(
            new { Prompt = prompt, Text = text.ToString(), Seconds = seconds, model.Threads },
            output => output.WriteLine($"\n\n[{Human.Fixed(seconds, 1)} s]"));
    }
}
