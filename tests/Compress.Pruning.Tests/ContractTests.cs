using Compress.Contract;
using Compress.Pruning.Methods;

namespace Compress.Pruning.Tests;

public class ContractTests
{
    private static readonly LinearMethodContract Contract = new(typeof(Wanda).Assembly);

    public static TheoryData<string, string> Cases => Contract.Cases();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Holds(string method, string duty) => Contract.Check(method, duty);
}
