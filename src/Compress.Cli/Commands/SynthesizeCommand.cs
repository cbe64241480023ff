using System.CommandLine;
using System.Globalization;
using Compress.Cli.Terminal;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Commands;

/// <summary><c>compress synthesize OUT --config FILE</c>: a model of a given shape with random weights, for measurements.</summary>
internal static class SynthesizeCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var target = new Argument<string>("OUT") { Description = "Folder to write." };
        var config = new Option<string>("--config") { Description = "A config.json: the model's shape.", Required = true };
        var type = new Option<ElementType>("--type")
        {
            Description = "Type of the weights: f32, f16 or bf16.",
            DefaultValueFactory = _ => ElementType.F16,
        };
        type.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<ElementType>() is not (ElementType.F32 or ElementType.F16 or ElementType.BF16))
            {
                result.AddError("--type must be f32, f16 or bf16.");
            }
        });
        var seed = new Option<int>("--seed") { Description = "Seed of the weights." };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "A model whose tokenizer files are copied along." };
        var command = new ExampleCommand("synthesize",
            "Writes a model of a given shape with random weights, to measure time and memory with.",
            "synthesize out/big --config benchmarks/llama-1.1b.json --tokenizer models/embedded")
        { target, config, type, seed, tokenizer };
        host.Attach(command, async (parsed, session) =>
        {
            var model = SyntheticModel.Open(parsed.GetRequiredValue(config));
            var folder = parsed.GetRequiredValue(target);
            using var support = parsed.GetValue(tokenizer) is { } path ? ModelFolder.Open(path) : null;
            var parameters = SpecTensors.Expected(model.Spec).Sum(t => t.Shape.Aggregate(1L, (product, size) => product * size));
            await session.ShowProgressAsync(progress => Task.Run(() =>
            {
                var element = parsed.GetValue(type);
                using var bytes = new ByteProgress(progress, $"write {folder}", parameters * element.Bits() / 8, session.Cancellation);
                SyntheticCheckpoint.Write(folder, model, element, parsed.GetValue(seed), support, bytes.Add);
                return true;
            }));
            return session.Write(
                new { folder, parameters },
                text => text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{folder}: {parameters:N0} random parameters")));
        });
        return command;
    }
}
