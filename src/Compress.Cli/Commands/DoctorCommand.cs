using System.CommandLine;
using System.Globalization;
using Compress.Cli.Doctor;
using Compress.Cli.Terminal;
using Compress.Core.Torch;

namespace Compress.Cli.Commands;

/// <summary><c>compress doctor</c>: what this machine and installation offer, with a two-second self-test.</summary>
internal static class DoctorCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var command = new ExampleCommand("doctor",
            "Prints versions, backend, instruction sets, cores, memory and disk, and tests arithmetic for two seconds.",
            "doctor", "doctor --json");
        host.Attach(command, (_, session) => Task.FromResult(Examine(session)));
        return command;
    }

    private static int Examine(CommandSession session)
    {
        var machine = MachineReport.Take();
        try
        {
            var backend = BackendReport.Take();
            var test = SelfTest.Run();
            session.Write(new { version = Installed.Version, machine, backend, self_test = test }, text =>
            {
                var table = Table(machine);
                Add(table, backend);
                Add(table, test);
                table.Write(text);
            });
            return test.Correct ? ExitCode.Fine : ExitCode.GateFailed;
        }
        catch (TorchLoadException e)
        {
            // What the machine offers is what helps to find the cause.
            if (!session.Json) Table(machine).Write(session.Output);
            return session.Fail(ExitCode.RecipeWrong, e.Message);
        }
    }

    private static TextTable Table(MachineReport machine)
    {
        var table = new TextTable("", "");
        table.Add("compress", Installed.Version);
        table.Add(".NET", machine.Dotnet);
        table.Add("system", $"{machine.System}, {machine.Architecture}");
        table.Add("processor", $"{machine.Processor}, {machine.Cores} cores");
        table.Add("instruction sets", string.Join(" ", machine.InstructionSets.Where(s => s.Value).Select(s => s.Key)));
        var missing = machine.InstructionSets.Where(s => !s.Value).Select(s => s.Key).ToList();
        if (missing.Count > 0) table.Add("not usable", string.Join(" ", missing));
        table.Add("memory", $"{Human.Bytes(machine.MemoryAvailable)} free of {Human.Bytes(machine.MemoryTotal)}");
        table.Add("disk here", $"{Human.Bytes(machine.DiskFree)} free");
        return table;
    }

    private static void Add(TextTable table, BackendReport backend)
    {
        table.Add("TorchSharp", backend.Torchsharp);
        table.Add("libtorch", $"{backend.Libtorch}, {backend.Threads} threads, from {backend.LibtorchPath}");
        table.Add("TorchSharp library", backend.TorchsharpPath);
        table.Add("CUDA", backend.Cuda ? $"yes, {backend.CudaDevices} devices" : "no");
    }

    private static void Add(TextTable table, SelfTest test)
    {
        table.Add("product, f32", $"{Human.Fixed(test.GflopsF32, 0)} GFLOP/s");
        table.Add("product, bf16", $"{Human.Fixed(test.GflopsBf16, 0)} GFLOP/s");
        table.Add("memory bandwidth", $"{Human.Fixed(test.MemoryGigabytesPerSecond, 1)} GB/s");
        table.Add("product is right", test.Correct
            ? "yes"
            : string.Create(CultureInfo.InvariantCulture, $"NO: largest error {test.LargestError:R}, allowed {test.AllowedError:R}"));
    }
}
