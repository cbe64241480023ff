using System.Diagnostics;
using System.Text.Json.Nodes;
using Compress.Testing;

namespace Compress.Cli.Tests;

/// <summary>What an invocation of the program wrote and returned.</summary>
internal sealed record Invocation(int Code, string Output, string Error)
{
    /// <summary>Standard output as the one JSON document that it must be.</summary>
    public JsonNode Json => JsonNode.Parse(Output)!;
}

/// <summary>Runs the program inside the test process, or as a process of its own where signals or pipes matter.</summary>
internal static class Cli
{
    /// <summary>Runs the program in this process.</summary>
    public static async Task<Invocation> RunAsync(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        var code = await CommandLine.RunAsync(arguments, output, error);
        return new Invocation(code, output.ToString(), error.ToString());
    }

    /// <summary>Starts the program as a process whose output goes to pipes.</summary>
    public static Process Start(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "compress"), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = SharedData.Repository,
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Runs the program as a process until it ends.</summary>
    public static async Task<Invocation> RunProcessAsync(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        using var process = Start(arguments, environment);
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return new Invocation(process.ExitCode, await output, await error);
    }
}
